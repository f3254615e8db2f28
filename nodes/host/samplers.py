"""Sampling as the stock KSampler does, with self-recurrence where it is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
from torch import Tensor

from ...guidance_core.procedures.inversion import Path
from ...guidance_core.schedules import PercentWindow
from .recurrence import WHOLE, recurrent_sampler

SAMPLERS = comfy.samplers.KSampler.SAMPLERS
SCHEDULERS = comfy.samplers.KSampler.SCHEDULERS
# What an empty LATENT says of its size: the sampled one has a size of its own.
DOWNSCALED = ("downscale_ratio_spacial", "downscale_ratio_temporal")


@dataclass(frozen=True, eq=False)
class Plan:
    """What is sampled: a model, its prompts and its noise levels.

    Arguments:
        model: MODEL, guided or not.
        positive: CONDITIONING.
        negative: CONDITIONING.
        cfg: scale of classifier-free guidance.
        sigmas: noise levels, shape (N,), falling.
    """

    model: Any
    positive: Any
    negative: Any
    cfg: float
    sigmas: Tensor

    @classmethod
    def along(cls, path: Path, model: Any, positive: Any, negative: Any | None, cfg: float) -> Plan:
        """The plan of a run at the noise levels of a path.

        Raises:
            ValueError: as `plan_of`.
        """
        return cls(model, positive, _negative(positive, negative, cfg), cfg, path.sigmas)

    def run(self, sampler: Any, noise: Tensor, latent: Tensor, **options: Any) -> Tensor:
        """Let the host run a SAMPLER; latents are (B, C, *S), in units of a LATENT.

        Arguments:
            sampler: the host's SAMPLER.
            noise: noise that it starts from.
            latent: latent that it starts from.
            options: further arguments of the host's `sample_custom`.
        """
        preview = latent_preview.prepare_callback(self.model, len(self.sigmas) - 1)
        return comfy.sample.sample_custom(
            *(self.model, noise, self.cfg, sampler, self.sigmas),
            *(self.positive, self.negative, latent),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            **{"callback": preview, "seed": 0, **options},
        )


def plan_of(
    model: Any,
    positive: Any,
    negative: Any | None,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    denoise: float = 1.0,
) -> Plan:
    """Return the plan of the stock KSampler with the same widgets.

    Raises:
        ValueError: there is no negative prompt, and cfg is not 1, where none is evaluated.
    """
    negative = _negative(positive, negative, cfg)
    stock = comfy.samplers.KSampler(
        model, steps, model.load_device, sampler_name, scheduler, denoise, model.model_options
    )
    return Plan(model, positive, negative, cfg, stock.sigmas)


def _negative(positive: Any, negative: Any | None, cfg: float) -> Any:
    """The negative prompt; at CFG 1, where none is evaluated, any."""
    if negative is None and cfg != 1:
        raise ValueError(
            f"cfg {cfg} needs a negative prompt, got none: connect one, or set cfg to 1"
        )
    return positive if negative is None else negative


def sample(
    plan: Plan,
    sampler_name: str,
    seed: int,
    latent: dict[str, Any],
    recurrences: int = 1,
    window: PercentWindow = WHOLE,
    **options: Any,
) -> dict[str, Any]:
    """Return the LATENT of the stock KSampler, bit-identical to it where recurrences is 1.

    Arguments:
        plan: model, prompts and noise levels.
        sampler_name: name of a sampler.
        seed: seed of the noise.
        latent: LATENT to start from.
        recurrences: how often each step inside the window is taken.
        window: where steps recur.
        options: as in `Plan.run`; a callback takes the place of the host's preview.
    """
    start, noise = _start(plan.model, latent, seed)
    sampler = comfy.samplers.sampler_object(sampler_name)
    sampler = recurrent_sampler(sampler, recurrences, window)
    options |= {"noise_mask": latent.get("noise_mask"), "seed": seed}
    kept = {key: value for key, value in latent.items() if key not in DOWNSCALED}
    return {**kept, "samples": plan.run(sampler, noise, start, **options)}


def samples_of(model: Any, latent: dict[str, Any]) -> Tensor:
    """What the stock KSampler starts from: an empty LATENT gets the channels and size it needs."""
    ratios = {key: latent[key] for key in DOWNSCALED if key in latent}
    samples: Tensor = comfy.sample.fix_empty_latent_channels(model, latent["samples"], **ratios)
    return samples


def _start(model: Any, latent: dict[str, Any], seed: int) -> tuple[Tensor, Tensor]:
    """Starting latent and noise, as the stock KSampler makes them."""
    samples = samples_of(model, latent)
    return samples, comfy.sample.prepare_noise(samples, seed, latent.get("batch_index"))
