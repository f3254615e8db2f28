"""The page of what an energy should look at."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from bench import markdown
from bench.cfg import spread, window
from bench.cfg.tasks import TASKS
from bench.records import Row
from tools.shapes.latents import EMPTY, NO_COLOUR, NO_SIZE

SCALE = (
    "## Obedience against variety",
    "",
    "A colour and a shape by the prompt alone, without any energy. Spreads are standard deviations",
    "of the place and of the size of the objects, which no prompt names, as fractions of those of",
    "drawn scenes.",
    "",
    "![Images that obey and are clean over the spread of place and size, for each w](cfg.png)",
)
WINDOW = "A colour and a shape by the prompt alone again, in ten Euler steps:"
HEAD = ("CFG", "rule, strength", "looks at", "satisfied", "clean", "clean, prompt kept", "images")
PAGE = """\
# What an energy looks at above CFG 1

Written by `python -m bench.cfg`. Percentages ± standard error, judged from pixels by the oracle; 20
Euler steps (measurement: 10, from the enlarged image), relative scale, windows and energies as the
nodes have them, label and sentence through Shapes' fitted decoder. No seed had a part in choosing
anything. "positive" shows the energy the estimate of the positive branch, "cfg" the result of CFG
with the slope of the positive branch, "both" the same with its true derivative, for which both
branches carry a graph.

{tables}

## The scale, and where it acts

*CFG Guider (Window)* takes either of the two numbers that papers call the scale:

| convention | estimate | who writes so | alone with the prompt at |
|---|---|---|---|
| gamma | uncond + gamma (cond - uncond) | ComfyUI, Stable Diffusion, GLIDE, Imagen | 1 |
| w | (1 + w) cond - w uncond | Ho and Salimans 2022 | 0 |

Both are one estimate with gamma = 1 + w: the direction of the density
p(x | c)^gamma p(x)^(1 - gamma) at each noise level, in flows too (a test compares it with that of
a mixture whose densities are known). For gamma in (0, 1), a convex lambda, it lies between both
densities; gamma 0 leaves the prompt out. Samples of the tempered density at sigma 0 are not what a
run with it ends in: the tempered densities of two noise levels are not each other's diffusion.

Outside of the window the conditional estimate alone is used, as in *Applying Guidance in a Limited
Interval* (Kynkäänniemi et al. 2024), and the negative branch is not evaluated: a window of half
of the steps saves a quarter of the evaluations. With the whole window it is bit-identical to the
host's CFGGuider. *Apply Guidance* acts under it as under any guider; a rule of scale `cfg` needs
the window to cover its own.

{window}## Where the negative branch comes from

One network knows both densities, because its captions were dropped at random while it was trained
(Ho and Salimans 2022, algorithm 1). For Shapes this is

    python -m tools.shapes.train_diffusion

and each of its steps is the algorithm's: draw a scene x0 and its caption c; with probability
p_uncond leave c empty; draw a noise level and noise; descend the error of the predicted noise.
p_uncond is {empty:g} (`EMPTY` in `tools/shapes/latents.py`); the paper tried 0.1, 0.2 and 0.5, of
which 0.5 did worst. Further {no_size:g} of the captions leave out the sizes and {no_colour:g} the
colours, so that a prompt may do so too. Besides the algorithm the loss is weighted by noise level,
and half of the inputs have strayed, as the files say. Sampling is its algorithm 2:
(1 + w) cond - w uncond at every step.

A model that never saw an empty caption has no branch to subtract. A LoRA trained on captions alone
bends the empty caption with the rest; for data of your own let its trainer drop some captions (most
have a setting for it, often called caption dropout). Training is the trainer's work, this pack has
no node for it.
"""


def page(rows: Sequence[Row]) -> str:
    """The whole page in Markdown."""
    tables = []
    for name, task in TASKS.items():
        own = [row for row in rows if row["task"] == name]
        if own:
            tables += [f"## {name}", "", f"Asked is {task.asks}.", "", *_table(own), ""]
    scales = [row for row in rows if row["task"] == spread.NAME]
    if scales:
        tables += [*SCALE, "", *spread.table(spread.points(scales)), ""]
    windows = [row for row in rows if row["task"] == window.NAME]
    shown = [WINDOW, "", *window.table(windows), "", ""] if windows else []
    dropped = {"empty": EMPTY, "no_size": NO_SIZE, "no_colour": NO_COLOUR}
    return PAGE.format(tables="\n".join(tables).rstrip(), window="\n".join(shown), **dropped)


def _table(rows: Sequence[Row]) -> list[str]:
    cells: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        key = row["cfg"], row["rule"], row["strength"], row["look"]
        cells.setdefault(key, []).append(row)
    order = sorted(cells, key=lambda key: (*key[:3], LOOK_ORDER.index(key[3])))
    head = [*HEAD[:-1], "PSNR, dB", HEAD[-1]] if "psnr" in rows[0] else HEAD
    return markdown.table(head, [_line(key, cells[key]) for key in order])


LOOK_ORDER = ("positive", "cfg", "both")


def _line(key: tuple[object, ...], rows: Sequence[Row]) -> list[str]:
    cfg, rule, strength, look = key
    name = f"{rule} {strength}" if rule else "unguided"
    shown = [markdown.share([flag for row in rows for flag in row[part]]) for part in PARTS]
    count = sum(len(row["clean"]) for row in rows)
    return [str(cfg), name, str(look) if rule else "", *shown, *_decibels(rows), str(count)]


def _decibels(rows: Sequence[Row]) -> list[str]:
    """Mean PSNR in dB of restored images, with its standard error."""
    values = [value for row in rows for value in row.get("psnr", ())]
    if not values:
        return []
    return [f"{fmean(values):.1f} ± {stdev(values) / len(values) ** 0.5:.1f}"]


PARTS = ("satisfied", "clean", "kept")
