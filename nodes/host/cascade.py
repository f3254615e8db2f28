"""Super-resolution by stages: each doubles the image and is held to the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import comfy.utils
import torch
from torch import Tensor

from ...guidance_core.energies.measurement import Measurement
from ...guidance_core.image.degradations import Shrink
from ...guidance_core.procedures.inversion import psnr
from ...guidance_core.rules.backward import Backward
from ...guidance_core.schedules import PercentWindow
from . import guide, samplers
from .autograd.weights import normal
from .samplers import Plan
from .tiles import in_tiles

TIMES = 2  # a stage is larger
POLYAK_STEPS = 2
HALF = Shrink(TIMES, "box")


@dataclass(frozen=True, eq=False)
class Cascade:
    """How stages are sampled.

    Arguments:
        plan: model, prompts and noise levels.
        vae: the model's VAE.
        sampler_name: name of a sampler.
        tile: side in pixels that the model was trained on.
        overlap: of neighbouring tiles, as a fraction of one, in [0, 1).
        strength: of the measurement; 0 lets a stage go.
        exact: whether what is left of the difference is taken off each square of pixels.
    """

    plan: Plan
    vae: Any
    sampler_name: str
    tile: int
    overlap: float
    strength: float
    exact: bool = True

    def stage(self, image: Tensor, seed: int) -> Tensor:
        """An image (N, 3, H, W) in [0, 1], twice as high and wide."""
        height, width = (TIMES * side for side in image.shape[-2:])
        start = comfy.utils.common_upscale(image, width, height, "bicubic", "disabled").clamp(0, 1)
        latent = {"samples": self.vae.encode(start.movedim(1, -1))}
        plan = replace(self.plan, model=self._held(image))
        done = samplers.sample(plan, self.sampler_name, seed, latent)["samples"]
        found = self.vae.decode(done).movedim(-1, 1).float().clamp(0, 1)
        return projected(found, image) if self.exact else found

    def in_tiles(self) -> Cascade:
        """The same, whose model is evaluated in tiles.

        It has to outlive its stages: the host goes back from a clone that is gone to the one that
        it was made of.
        """
        side = self.tile // self.vae.spacial_compression_encode()
        overlap = min(round(side * self.overlap), side - 1)
        return replace(
            self, plan=replace(self.plan, model=in_tiles(self.plan.model, side, overlap))
        )

    def _held(self, image: Tensor) -> Any:
        """The model, whose whole image is measured."""
        if not self.strength:
            return self.plan.model
        with torch.inference_mode(False):
            energy = Measurement(normal(image.clone()), HALF)
            window = PercentWindow(0.0, 1.0, value=self.strength)
            rule = Backward(energy, window, steps=POLYAK_STEPS, optimiser="polyak")
        return guide.apply(self.plan.model, [rule], vae=self.vae)


def check(image: Tensor, tile: int, cells: int) -> None:
    """Refuse an image whose first stage is none for the model, before anything is sampled.

    Arguments:
        image: shape (N, 3, H, W).
        tile: side in pixels that the model was trained on.
        cells: pixels of a latent cell along a side.

    Raises:
        ValueError: the first stage is below the model's size, or its sides or the tile's are no
            multiples of a cell.
    """
    height, width = (TIMES * side for side in image.shape[-2:])
    if min(height, width) < tile:
        raise ValueError(
            f"the first stage would be {width}x{height}, below the model's size of {tile}: begin "
            f"with an image of at least {tile // TIMES}x{tile // TIMES}, such as one that the "
            "model made"
        )
    if height % cells or width % cells or tile % cells:
        raise ValueError(
            f"stages and tiles must be multiples of {cells} pixels, got a first stage of "
            f"{width}x{height} and tiles of {tile}: crop the image, or change the tile"
        )


def projected(image: Tensor, smaller: Tensor) -> Tensor:
    """The nearest image whose squares of pixels have the means that a smaller one says.

    References:
        Denoising Diffusion Null-Space Model, Wang et al. 2022, arXiv:2212.00490, eq. (8): for means
        of squares the pseudo-inverse repeats each pixel.
        Deviates: values are kept in [0, 1], by which a square at black or white misses its mean.

    Arguments:
        image: shape (N, 3, H, W) in [0, 1].
        smaller: shape (N, 3, H / 2, W / 2).
    """
    error = smaller - HALF(image)
    return (image + error.repeat_interleave(TIMES, -1).repeat_interleave(TIMES, -2)).clamp(0, 1)


def enlarged(cascade: Cascade, image: Tensor, stages: int, seed: int) -> tuple[Tensor, str]:
    """All stages of an image (N, 3, H, W), the last as (N, 3, h, w), and how well it is kept.

    Arguments:
        cascade: how stages are sampled.
        image: in [0, 1].
        stages: how many, >= 1.
        seed: of the first stage's noise; each takes the next one.

    Raises:
        ValueError: see `check`.
    """
    check(image, cascade.tile, cascade.vae.spacial_compression_encode())
    found, lines, tiled = image, [], cascade.in_tiles()
    for number in range(stages):
        found = tiled.stage(found, seed + number)
        height, width = found.shape[-2:]
        kept = Shrink(height // image.shape[-2], "box")(found)
        lines.append(f"{width}x{height}: {float(psnr(kept, image).min()):.1f} dB")
    return found, "shrunk again, beside the image: " + ", ".join(lines)
