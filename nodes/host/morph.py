"""Images between two others, sampled by the host: states, prompts, attention and statistics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import comfy.model_management
import comfy.samplers
import torch
from torch import Tensor

from ...guidance_core.image.perceptual import perceptual
from ...guidance_core.networks.protocols import check_features
from ...guidance_core.procedures.inversion import Path
from ...guidance_core.procedures.morphing import (
    between,
    check_pair,
    sampled_evenly,
    weights_of,
    with_statistics,
)
from ...guidance_core.schedules import PercentWindow
from .displaced import Displaced, decoded
from .injecting.injected import injected
from .injecting.injection import Injection
from .injecting.unet import check_unet, self_attending
from .invert import latent_of, resampled
from .mixed_prompts import batch_of, mixed_estimates
from .networks import managed
from .samplers import Plan

NAME = "Morph"


@dataclass(frozen=True, eq=False)
class Morph:
    """What lies between two images.

    Arguments:
        plan: model, first prompt and noise levels.
        paths: of both images.
        prompts: CONDITIONING of both images.
        attention: until where attention is blended of both, in [0, 1]; 0 is never.
        statistics: how far latents are given the statistics between both, in [0, 1].
        batch: how many images are sampled at once, >= 1.
        start: where images begin on the way down; None is at the top of the paths.

    Raises:
        ValueError: the paths do not fit together, or attention inside another kind of model.
    """

    plan: Plan
    paths: tuple[Path, Path]
    prompts: tuple[Any, Any]
    attention: float
    statistics: float
    batch: int = 8
    start: Displaced | None = None

    def __post_init__(self) -> None:
        check_pair(*self.paths)
        if self.attention:
            check_unet(self.plan.model.get_model_object("diffusion_model"), NAME)

    def latents(self, shares: Tensor) -> Tensor:
        """Images at shares (N,) of the way, shape (N, C, *S), in units of a LATENT."""
        weights = weights_of(shares)
        plan = replace(
            self.plan,
            model=self._blending(weights),
            positive=mixed_estimates(self.prompts, weights),
        )
        latents = self._sampled(plan, shares)
        ends = torch.cat([latent_of(plan, path) for path in self.paths])
        return with_statistics(latents, ends, shares, self.statistics)

    def _sampled(self, plan: Plan, shares: Tensor) -> Tensor:
        if self.start is None:
            return resampled(plan, between(*self.paths, shares))
        latent, noise = self.start.at(shares)
        lower = replace(plan, sigmas=self.start.sigmas)
        return lower.run(comfy.samplers.sampler_object("euler"), noise, latent)

    def _blending(self, weights: Tensor) -> Any:
        if not self.attention:
            return self.plan.model
        model = self.plan.model
        layers = self_attending(model.get_model_object("diffusion_model"))
        source = batch_of(self.prompts)
        states = torch.cat([path.states for path in self.paths], 1)
        window = PercentWindow(0.0, self.attention)
        path = Path(self.paths[0].sigmas, states)
        shared = Injection(NAME, source, path, shared=(layers, window), mix=weights)
        return injected(model, shared)


def morphed(
    way: Morph, vae: Any, network: Any | None, frames: int, sampled: int
) -> tuple[Tensor, Tensor, str]:
    """Sample frames that are evenly apart: images (N, H, W, 3), their latents, and a report.

    Arguments:
        way: what lies between the images.
        vae: decodes latents.
        network: GUIDE_NETWORK that says how far apart frames look; None for their colours.
        frames: how many, >= 2.
        sampled: how many are sampled; the frames are chosen among them.
    """
    if network is not None:
        check_features(network, "Morph")
    found: dict[float, tuple[Tensor, Tensor]] = {}

    def see(shares: Tensor) -> Tensor:
        seen = []
        for part in shares.split(way.batch):
            latents = way.latents(part)
            images = decoded(vae, latents)
            found.update(zip(part.tolist(), zip(latents, images, strict=True), strict=True))
            seen.append(_features(images, network))
        return torch.cat(seen)

    shares, features = sampled_evenly(see, frames, sampled)
    latents, images = zip(*(found[share] for share in shares.tolist()), strict=True)
    return torch.stack(images), torch.stack(latents), report_of(shares, features)


def _features(images: Tensor, network: Any | None) -> Tensor:
    if network is not None:
        comfy.model_management.load_models_gpu([managed(network)])
    return perceptual(images.movedim(-1, 1).float().clamp(0, 1), network).cpu()


def report_of(shares: Tensor, features: Tensor) -> str:
    """Say how even frames are, and where on the way they lie."""
    steps = (features[1:] - features[:-1]).norm(dim=1)
    uneven = float(steps.max() / steps.mean().clamp_min(1e-12))
    places = ", ".join(f"{share:.2f}" for share in shares.tolist())
    return f"largest step {uneven:.2f} x the mean; at {places}"
