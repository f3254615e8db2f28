"""What CFG does to few steps, over the whole run and inside a window of it.

Asked is a colour and a shape, as for the scale. Inside of the window the estimate is that of CFG,
outside of it that of the prompt alone, as *CFG Guider (Window)* has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench import markdown
from bench.cfg.spread import PROMPTS
from bench.cfg.tasks import FIRST_SEED
from bench.records import MODEL, Row, fingerprint
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle
from guidance_core.types import Denoiser, Estimate
from tools.diffusers_host import LEVELS, Settings, Shapes, denoiser, euler, starting_noise

NAME, STEPS = "window", 10
GAMMAS = (4.0, 7.5, 12.0)
WINDOWS = ((0.0, 1.0), (0.0, 0.6), (0.2, 0.6))
HEAD = ("gamma", "from", "until", "evaluations a step", "obeyed and clean", "images")


def jobs(batches: Sequence[tuple[int, int]]) -> list[Row]:
    """Every batch asked for, the first seeds of all windows first."""
    weights = fingerprint(*MODEL)
    return [
        {
            "task": NAME,
            "cfg": gamma,
            "window": list(window),
            "weights": weights,
            "seed": seed,
            "batch": size,
        }
        for seed, size in batches
        for gamma in GAMMAS
        for window in WINDOWS
    ]


def measured(model: Shapes, job: Row) -> dict[str, list[Any]]:
    """Whether each image of a batch is obeyed and clean."""
    seed, count = FIRST_SEED + int(job["seed"]), int(job["batch"])
    prompts = [PROMPTS[(seed + i) % len(PROMPTS)] for i in range(count)]
    states = model.encode(prompts), model.encode([""])
    both, alone = (denoiser(model, *states, gamma) for gamma in (job["cfg"], 1.0))
    levels = LEVELS.normal(STEPS)
    noise = starting_noise(model, Settings(seed=seed, batch=count), levels[:1])
    with torch.no_grad():
        latents = euler(inside(both, alone, job["window"]), noise, levels)
    verdicts = oracle.judge(model.images(latents))
    return {"kept": [one.matches(prompt) for one, prompt in zip(verdicts, prompts, strict=True)]}


def inside(both: Denoiser, alone: Denoiser, window: Sequence[float]) -> Denoiser:
    """The first inside of a window of the run, the second outside of it."""

    def denoise(x: Tensor, sigma: Tensor) -> Estimate:
        return (both if acts(window, float(sigma[0])) else alone)(x, sigma)

    return denoise


def acts(window: Sequence[float], sigma: float) -> bool:
    """Whether a noise level lies inside of a window."""
    return PercentWindow(*window).on(LEVELS.at_percent)(sigma) > 0


def table(rows: Sequence[Row]) -> list[str]:
    """Scales and windows in Markdown."""
    cells: dict[tuple[float, float, float], list[bool]] = {}
    for row in rows:
        cells.setdefault((row["cfg"], *row["window"]), []).extend(row["kept"])
    return markdown.table(HEAD, [_line(*key, cells[key]) for key in sorted(cells)])


def _line(gamma: float, first: float, last: float, kept: Sequence[bool]) -> list[str]:
    cost = 1 + sum(acts((first, last), float(level)) for level in LEVELS.normal(STEPS)[:-1]) / STEPS
    numbers = [f"{gamma:g}", f"{first:g}", f"{last:g}", f"{cost:.1f}"]
    return [*numbers, markdown.share(kept), str(len(kept))]
