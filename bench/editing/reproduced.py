"""Rendered images, inverted and generated again above CFG 1 by null-text optimisation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from bench.editing.real_images import inverted, rendered
from bench.editing.task import Figures, Session
from guidance_core.procedures.inversion import Path, psnr
from guidance_core.procedures.null_text import ITERATIONS, NullText
from guidance_core.run import Run
from guidance_core.types import Estimate
from tools.diffusers_host import Settings, Shapes, denoiser, sample

STEPS, CFG = 10, 7.5
# Seeds of their own: others chose the rate.
FIRST = 200


def reproduced(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """An image generated again at CFG 1, at a high CFG, and there by null text."""
    shapes = session.shapes
    true = rendered(tuple(FIRST + seed for seed in seeds))
    path, latents, states = inverted(shapes, true, STEPS)
    again = lambda cfg: sample(
        shapes, [], Settings(steps=STEPS, cfg=cfg), positive=states, noise=path.states[0]
    )
    image = shapes.images(latents)
    near = lambda latent: psnr(shapes.images(latent), image).tolist()
    sides = zip(near(again(CFG)), near(by_null_text(shapes, path, states)), strict=True)
    rows = zip(near(again(1.0)), sides, strict=True)
    return [
        {
            "unguided": {"psnr": far, "plain": plain, "near": float(far >= plain)},
            "guided": {"psnr": null, "near": float(null >= plain)},
        }
        for plain, (far, null) in rows
    ]


def by_null_text(shapes: Shapes, path: Path, states: Tensor) -> Tensor:
    """The run's last latent (B, 4, 16, 16)."""
    shown: list[Tensor] = []

    def denoise(x: Tensor, sigma: Tensor) -> Estimate:
        return denoiser(shapes, shown[-1] if shown else states, states[:1], 1.0)(x, sigma)

    @contextlib.contextmanager
    def show(found: Tensor) -> Iterator[None]:
        shown.append(found)
        try:
            yield
        finally:
            shown.pop()

    empty, sigmas = shapes.encode([""]), path.sigmas.to(shapes.device)
    rule = NullText(path, empty, CFG, show, lambda states, apart: None, ITERATIONS)
    x, run = path.states[0], Run(torch.ones_like, sigmas)
    for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
        with torch.no_grad():
            x0 = rule(denoise, x, high.expand(len(x)), run).x0
        x = x + (low - high) / high * (x - x0)
    return x
