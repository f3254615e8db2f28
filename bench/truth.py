"""Guided sampling against exact conditional sampling, on mixtures of Gaussians.

    python -m bench.truth

A mixture tilted by a Gaussian likelihood is a mixture again, so the true posterior can be sampled.
Every rule is sampled by Euler's method on the exact denoiser, and its distance to them is
measured against strength and number of steps, in 2 and 64 dimensions, for VE and for flows. Writes
bench/results/truth.json, docs/truth.md and docs/truth.png.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from guidance_core.compose import guided
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.manifold import Manifold
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.unified import Unified
from guidance_core.schedules import Constant
from guidance_core.types import Energy, Estimate, Rule, Run
from tests.ground_truth import Mixture, flow, three_hills, ve

ROOT = Path(__file__).resolve().parents[1]
STRENGTHS = (0.25, 0.5, 1.0, 2.0)
STEPS = (10, 25, 100)
USUAL_STEPS, USUAL_STRENGTH = 25, 1.0
LIKELIHOOD = 0.5  # variance r2 of the measurement y
PROJECTIONS = 128
# Rules whose step is a number per step, not per noise level: 1 of it in 25 steps burns everything.
PER_STEP = 0.1

RULES: dict[str, Callable[[Energy, float], Rule]] = {
    "forward absolute": lambda e, s: Forward(e, Constant(s), "absolute"),
    "forward relative": lambda e, s: Forward(e, Constant(s)),
    "backward relative": lambda e, s: Backward(e, Constant(s)),
    "manifold relative": lambda e, s: Manifold(e, Constant(s)),
    "unified relative": lambda e, s: Unified(e, Constant(s)),
    "posterior absolute": lambda e, s: Posterior(e, Constant(PER_STEP * s), "absolute", root=False),
    "posterior spherical": lambda e, s: Posterior(e, Constant(PER_STEP * s), "spherical"),
    "unified absolute": lambda e, s: Unified(e, Constant(PER_STEP * s), "absolute"),
}


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


def hills(dimensions: int, alpha: Callable[[Tensor], Tensor]) -> Mixture:
    """The mixture of tests/ground_truth.py, or one of four components in more dimensions."""
    if dimensions == 2:
        return three_hills(alpha)
    generator = torch.Generator().manual_seed(dimensions)
    means = torch.randn(4, dimensions, generator=generator, dtype=torch.float64)
    weights = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    return Mixture(weights, means, torch.full((4,), 0.3, dtype=torch.float64), alpha)


def drawn(mixture: Mixture, count: int, generator: torch.Generator) -> Tensor:
    """Exact samples of x0, shape (count, D)."""
    which = torch.multinomial(mixture.weights, count, replacement=True, generator=generator)
    noise = torch.randn(count, mixture.means.shape[1], generator=generator, dtype=torch.float64)
    return mixture.means[which] + mixture.variances[which, None].sqrt() * noise


def sampled(mixture: Mixture, rules: Sequence[Rule], steps: int, start: Tensor) -> Tensor:
    """Euler's method from standard normal noise `start` (B, D)."""
    if mixture.alpha is flow:
        sigmas = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    else:
        levels = torch.logspace(math.log10(20), -2, steps, dtype=torch.float64)
        sigmas = torch.cat([levels, levels.new_zeros(1)])
    denoise = guided(rules, mixture.denoise, Run(mixture.alpha, sigmas))
    x = start * sigmas[0]
    for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
        x0 = denoise(x, high.expand(len(x))).x0
        x = x0 + low / high * (x - x0)
    return x


def wasserstein(one: Tensor, other: Tensor) -> float:
    """Sliced 2-Wasserstein distance per dimension, of two sets of as many samples (B, D)."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.randn(one.shape[1], PROJECTIONS, generator=generator, dtype=one.dtype)
    axes = axes / axes.norm(dim=0)
    gap = (one @ axes).sort(0).values - (other @ axes).sort(0).values
    return float(gap.square().mean().sqrt())


def mmd(one: Tensor, other: Tensor) -> float:
    """Maximum mean discrepancy with a Gaussian kernel as wide as the truth's median distance."""
    width = torch.pdist(other).median().square()
    kernel = lambda a, b: torch.exp(-0.5 * torch.cdist(a, b).square() / width).mean()
    square = kernel(one, one) + kernel(other, other) - 2 * kernel(one, other)
    return float(square.clamp_min(0).sqrt())


def measured(count: int) -> Iterator[Row]:
    """Every row of the table."""
    grid = [(s, USUAL_STEPS) for s in STRENGTHS]
    grid += [(USUAL_STRENGTH, n) for n in STEPS if n != USUAL_STEPS]
    for family, alpha in (("VE", ve), ("flow", flow)):
        for dimensions in (2, 64):
            mixture = hills(dimensions, alpha)
            y = mixture.means[1] + 0.3
            truth = mixture.tilted(y, LIKELIHOOD)
            generator = torch.Generator().manual_seed(1)
            posterior = drawn(truth, count, generator)
            start = torch.randn(count, dimensions, generator=generator, dtype=torch.float64)

            def row(
                rule: str,
                strength: float,
                steps: int,
                samples: Tensor,
                place: tuple[str, int] = (family, dimensions),
                posterior: Tensor = posterior,
            ) -> Row:
                gaps = wasserstein(samples, posterior), mmd(samples, posterior)
                return Row(*place, rule, strength, steps, *gaps)

            def energy(estimate: Estimate, y: Tensor = y) -> Tensor:
                return 0.5 * (estimate.x0 - y).square().sum(1) / LIKELIHOOD

            yield row("another exact draw", 0, 0, drawn(truth, count, generator))
            for steps in STEPS:
                yield row("unguided", 0, steps, sampled(mixture, [], steps, start))
                yield row("exact denoiser", 0, steps, sampled(truth, [], steps, start))
            for name, build in RULES.items():
                for strength, steps in grid:
                    samples = sampled(mixture, [build(energy, strength)], steps, start)
                    yield row(name, strength, steps, samples)


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
        "however many there are.",
        "",
        "![Distance against strength](truth.png)",
    ]
    for family in ("VE", "flow"):
        for dimensions in (2, 64):
            own = [r for r in rows if (r.family, r.dimensions) == (family, dimensions)]
            lines += ["", f"## {family}, {dimensions} dimensions", *_tables(own)]
    return "\n".join([*lines, ""])


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
    for name in RULES:
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
        for name in RULES:
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


def main() -> int:
    """Measure, then write the three files."""
    parser = argparse.ArgumentParser(prog="bench.truth", description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000, help="samples of each distribution")
    parser.add_argument("--render", action="store_true", help="only write page and plot anew")
    options = parser.parse_args()
    path = ROOT / "bench" / "results" / "truth.json"
    if not options.render:
        path.parent.mkdir(exist_ok=True)
        report = {"samples": options.samples, "rows": _rows(options.samples)}
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    report = json.loads(path.read_text(encoding="utf-8"))
    rows = [Row(**row) for row in report["rows"]]
    (ROOT / "docs" / "truth.md").write_text(page(rows, report["samples"]), encoding="utf-8")
    plot(rows, ROOT / "docs" / "truth.png")
    return 0


def _rows(count: int) -> list[dict[str, object]]:
    total = 4 * (1 + 2 * len(STEPS) + len(RULES) * (len(STRENGTHS) + len(STEPS) - 1))
    bar = tqdm(measured(count), total=total, disable=not sys.stderr.isatty())
    return [asdict(row) for row in bar]


if __name__ == "__main__":
    sys.exit(main())
