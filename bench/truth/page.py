"""The page that shows how far guided samples are from exact ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

STRENGTHS = (0.25, 0.5, 1.0, 2.0)
STEPS = (10, 25, 100)
USUAL_STEPS, USUAL_STRENGTH = 25, 1.0
LIKELIHOOD = 0.5  # variance r2 of the measurement y
# Rules whose step is a number per step, not per noise level: 1 of it in 25 steps burns everything.
PER_STEP = 0.1


@dataclass(frozen=True)
class Row:
    """Distances of one sampled distribution to the true posterior."""

    family: str
    dimensions: int
    rule: str
    strength: float
    steps: int
    wasserstein: float
    mmd: float


def page(rows: Sequence[Row], count: int) -> str:
    """The tables in Markdown."""
    lines = [
        "# Guided sampling against the truth",
        "",
        f"Written by `python -m bench.truth` ({count} samples). A mixture of Gaussians is sampled "
        "under the energy of",
        f"a Gaussian measurement with variance {LIKELIHOOD:g}; the true posterior is a mixture "
        "again. Figures: sliced 2-Wasserstein",
        "distance to exact samples of it, with the maximum mean discrepancy in brackets; lower is "
        'better. "Another exact draw" is what',
        'two exact sets of this size differ by; "exact denoiser" is Euler\'s method on the true '
        "posterior's own denoiser. Strengths of",
        f"posterior and of unified absolute are in units of {PER_STEP:g}: they act at every step, "
        "however many there are. Forward",
        "calibrated, whose strength 1 means this posterior, knows the likelihood as an energy "
        "(draws) or as a linear measurement.",
        "",
        "![Distance against strength](truth.png)",
    ]
    for family in ("VE", "flow"):
        for dimensions in (2, 64):
            own = [r for r in rows if (r.family, r.dimensions) == (family, dimensions)]
            lines += ["", f"## {family}, {dimensions} dimensions", *_tables(own)]
    return "\n".join([*lines, ""])


def _rules(rows: Sequence[Row]) -> list[str]:
    """Names of the rules, in order: whatever was sampled with a strength."""
    return list(dict.fromkeys(row.rule for row in rows if row.strength))


def _tables(rows: Sequence[Row]) -> list[str]:
    found = {(r.rule, r.strength, r.steps): r for r in rows}

    def cell(rule: str, strength: float, steps: int) -> str:
        row = found[rule, strength, steps]
        return f"{row.wasserstein:.3f} ({row.mmd:.3f})"

    base = [("another exact draw", 0)]
    base += [(name, n) for n in STEPS for name in ("unguided", "exact denoiser")]
    lines = ["", "| | distance |", "|---|---|"]
    lines += [f"| {name}{f', {n} steps' if n else ''} | {cell(name, 0, n)} |" for name, n in base]
    titles = [f"strength {s:g}" for s in STRENGTHS]
    titles += [f"strength {USUAL_STRENGTH:g}, {n} steps" for n in STEPS if n != USUAL_STEPS]
    lines += ["", f"| {USUAL_STEPS} steps | {' | '.join(titles)} |", "|---" * 7 + "|"]
    for name in _rules(rows):
        cells = [cell(name, s, USUAL_STEPS) for s in STRENGTHS]
        cells += [cell(name, USUAL_STRENGTH, n) for n in STEPS if n != USUAL_STEPS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def plot(rows: Sequence[Row], path: Path) -> None:
    """Distance against strength, one panel for each mixture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    for axis, (family, dimensions) in zip(
        figure.subplots(2, 2).flat,
        [(f, d) for f in ("VE", "flow") for d in (2, 64)],
        strict=True,
    ):
        own = [r for r in rows if (r.family, r.dimensions, r.steps) == (family, dimensions, 25)]
        for name in _rules(rows):
            curve = [r for r in own if r.rule == name]
            axis.plot(
                [r.strength for r in curve],
                [r.wasserstein for r in curve],
                marker="o",
                label=name,
                linestyle="--" if "relative" in name else "-",
            )
        for name in ("unguided", "exact denoiser"):
            (level,) = [r.wasserstein for r in own if r.rule == name]
            axis.axhline(level, color="black", linestyle=":", linewidth=1)
            axis.annotate(name, (STRENGTHS[-1], level), ha="right", va="bottom", fontsize=8)
        axis.set(
            title=f"{family}, {dimensions} dimensions, {USUAL_STEPS} steps",
            xlabel="strength",
            ylabel="sliced Wasserstein distance",
            xscale="log",
            yscale="log",
        )
        axis.set_xticks(STRENGTHS, [f"{s:g}" for s in STRENGTHS])
        axis.minorticks_off()
    axis.legend(fontsize=7)
    figure.savefig(path, dpi=90)
