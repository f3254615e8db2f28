"""Where frames of a morph begin if what stands out moves: at a noise level on the way down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...guidance_core.procedures.displacement import Displacement, displacement
from ...guidance_core.procedures.inversion import Path
from ...guidance_core.procedures.morphing import slerp
from .invert import PathNoise, latent_of
from .samplers import Plan


@dataclass(frozen=True, eq=False)
class Displaced:
    """Latents and noises that a run at lower noise levels begins with.

    Arguments:
        sigmas: noise levels of that run, shape (N,), falling.
        latents: of both images, each (1, C, *S), in units of a LATENT.
        noises: of both images at the first noise level.
        way: what lies between the images.
        vae: encodes it.
    """

    sigmas: Tensor
    latents: tuple[Tensor, Tensor]
    noises: tuple[Tensor, Tensor]
    way: Displacement
    vae: Any

    def at(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Latent and noise, each (N, C, *S), at shares (N,); at 0 and 1 those of the images."""
        ends = dict(enumerate(self.latents))
        found = [
            ends[share] if share in ends else self.vae.encode(image[None].movedim(1, -1))
            for share, image in zip(shares.tolist(), self.way.at(shares), strict=True)
        ]
        one, other = (noise[0] for noise in self.noises)
        return torch.cat([latent.to(one) for latent in found]), slerp(one, other, shares)


def displaced(plan: Plan, paths: tuple[Path, Path], begin: float, vae: Any) -> Displaced:
    """Find where frames between two images begin.

    Arguments:
        plan: model and noise levels of both paths.
        paths: of both images.
        begin: which part of the way down is left out, in [0, 1), as the host counts percents.
        vae: decodes both images, and encodes what lies between.
    """
    level = plan.model.get_model_object("model_sampling").percent_to_sigma(begin)
    first = min(int((plan.sigmas > level * (1 + 1e-3)).sum()), len(plan.sigmas) - 2)
    rest = [Path(path.sigmas[first:], path.states[first:]) for path in paths]
    latents = tuple(latent_of(plan, path) for path in rest)
    noises = tuple(
        PathNoise(path, plan.model).generate_noise({"samples": latent})
        for path, latent in zip(rest, latents, strict=True)
    )
    images = [decoded(vae, latent)[0].movedim(-1, 0).float().clamp(0, 1) for latent in latents]
    return Displaced(plan.sigmas[first:], latents, noises, displacement(*images), vae)


def decoded(vae: Any, latents: Tensor) -> Tensor:
    """Images (N, H, W, 3) of latents (N, C, *S), whose axis of time, if any, has one frame."""
    images: Tensor = vae.decode(latents).flatten(0, -4)
    return images
