"""Inversion with the host's guider, noise levels, progress bar and cancel button."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import comfy.model_management
import comfy.samplers
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ...guidance_core.procedures.inversion import Path, invert, psnr
from ...guidance_core.procedures.white_noise import WhiteNoise
from ...guidance_core.process import lengths
from ...guidance_core.types import Estimate
from .autograd.weights import normal
from .samplers import Plan
from .steps import signal_scale

Denoise = Callable[[Tensor, Tensor], Tensor]


def latent_of(plan: Plan, path: Path) -> Tensor:
    """Return the image of a path, shape (B, C, *S), in units of a LATENT."""
    return plan.model.model.process_latent_out(path.states[-1])


def check_image(latent: Tensor) -> None:
    """Refuse with a ValueError an empty latent, and a nested one."""
    if getattr(latent, "is_nested", False):
        raise ValueError(
            "expected one latent, got a nested one (audio with video): connect the images alone"
        )
    if not torch.count_nonzero(latent):
        raise ValueError(
            "expected the latent of an image, got an empty one: connect VAE Encode, not an "
            "Empty Latent Image"
        )


def inverted(
    plan: Plan, latent: Tensor, iterations: int = 1, white_noise: WhiteNoise | None = None
) -> Path:
    """Take a latent up the noise levels of a plan.

    Arguments:
        plan: model, prompts and noise levels.
        latent: an image, shape (B, C, *S), units of a LATENT.
        iterations: model evaluations a step.
        white_noise: regularises the predicted noise, where it is wanted.

    Raises:
        ValueError: the latent is empty, or a nested one.
    """
    check_image(latent)
    found: list[Path] = []

    def upwards(denoise: Denoise, sigmas: Tensor, latent: Tensor, report: Callable) -> Tensor:
        path = invert(
            lambda x, sigma: Estimate(denoise(x, sigma), sigma),
            latent,
            sigmas,
            signal_scale(plan.model.get_model_object("model_sampling")),
            iterations=iterations,
            settle=None if white_noise is None else partial(_settled, white_noise),
            report=report,
        )
        found.append(Path(path.sigmas.cpu(), path.states.cpu()))
        return path.states[0]

    plan.run(Walk(upwards), torch.zeros_like(latent), latent)
    return found[0]


def _settled(white_noise: WhiteNoise, noise: Tensor, step: int) -> Tensor:
    with torch.inference_mode(False):
        return white_noise(normal(noise), step)


class Walk(comfy.samplers.Sampler):
    """A SAMPLER that takes the model along a way of its own.

    Arguments:
        way: `way(denoise, sigmas, latent, report)` returns the latent it ends at; latents have
            the shape (B, C, *S) and the model's units. `denoise(x, sigma)` gives x0,
            `report(step, x0, x)` tells the host of each step.
    """

    def __init__(self, way: Callable[..., Tensor]) -> None:
        self.way = way

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: Tensor,
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """Take the way from latent_image (B, C, *S), model latent units."""

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            comfy.model_management.throw_exception_if_processing_interrupted()
            x0: Tensor = model_wrap(x, sigma, **extra_args)
            return x0

        def report(step: int, x0: Tensor, x: Tensor) -> None:
            if callback is not None:
                callback(step, x0, x, len(sigmas) - 1)

        return self.way(denoise, sigmas, latent_image, report)


class PathNoise:
    """A NOISE that puts a sampler at the top of a path, if it starts from the path's latent.

    Arguments:
        path: states of the inversion.
        model: MODEL, whose way of adding noise is reversed.
    """

    seed = 0

    def __init__(self, path: Path, model: Any) -> None:
        self.path, self.model = path, model

    def generate_noise(self, latent: dict[str, Any]) -> Tensor:
        """The noise, shape (B, C, *S), for a sampler that starts where the path does."""
        top = self.path.states[0]
        if latent["samples"].shape != top.shape:
            raise ValueError(
                f"the inverted noise is for a latent of {lengths(top)}, got "
                f"{lengths(latent['samples'])}: connect the latent that was inverted"
            )
        unit, source = _scaled(self.model, self.path, 1.0, 0.0), self.path.states[-1]
        return (top - _scaled(self.model, self.path, 0.0, source)) / unit


def _scaled(model: Any, path: Path, noise: float, latent: float | Tensor) -> Tensor:
    """What the host makes of noise and a latent at the top of a path."""
    whole = torch.zeros_like(path.states[0])
    return scaled(model, path.sigmas[0], whole + noise, whole + latent)


def scaled(model: Any, sigma: Tensor, noise: Tensor, latent: Tensor) -> Tensor:
    """What the host makes of noise and a latent, model latent units, where a run begins."""
    model_sampling = model.get_model_object("model_sampling")
    most = float(sigma) > float(model_sampling.sigma_max) * (1 - 1e-5)
    made: Tensor = model_sampling.noise_scaling(sigma, noise, latent, most)
    return made


def noisy_latent(model: Any, path: Path, latent: dict[str, Any]) -> Any:
    """The top of a path as a LATENT for a sampler that adds no noise.

    Flow models multiply such a latent with 0 at their first noise level: then the output is
    blocked, and a node that reads it says so. A noise mask is left out: a sampler puts back what it
    started from outside of it, and that is noise here.
    """
    share = _scaled(model, path, 0.0, 1.0)
    if not share.all():
        return ExecutionBlocker(
            "a flow model forgets the latent it starts from at full noise: connect the noise "
            "output of this node and SamplerCustomAdvanced; with Invert, set denoise below 1"
        )
    kept = {key: value for key, value in latent.items() if key != "noise_mask"}
    return {**kept, "samples": model.model.process_latent_out(path.states[0] / share)}


def resampled(plan: Plan, path: Path) -> Tensor:
    """Sample a path's image again from its top: shape (B, C, *S), units of a LATENT."""
    latent = latent_of(plan, path)
    noise = PathNoise(path, plan.model).generate_noise({"samples": latent})
    return plan.run(comfy.samplers.sampler_object("euler"), noise, latent)


def round_trip(path: Path, plan: Plan, vae: Any) -> str:
    """Report how exactly the image of a path is sampled again from its noise, in dB."""
    again, latent = resampled(plan, path), latent_of(plan, path)
    if vae is None:
        error = (again - latent).square().mean() / latent.square().mean()
        return f"round trip: {-10 * float(error.clamp_min(1e-12).log10()):.1f} dB of the latent"
    decibels = psnr(vae.decode(again), vae.decode(latent))
    return f"round trip: {float(decibels.mean()):.1f} dB, worst image {float(decibels.min()):.1f}"
