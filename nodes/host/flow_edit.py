"""FlowEdit with the host's guider: one run in which two prompts are evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import comfy.sampler_helpers
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from torch import Tensor

from ...guidance_core.procedures.flow_edit import Along, FlowEdit, Noised, Source
from ...guidance_core.procedures.inversion import Path
from ...guidance_core.process import lengths
from ...guidance_core.types import Estimate
from .invert import Denoise, Walk, check_image
from .run import KEY
from .samplers import Plan
from .steps import signal_scale

SOURCE = "source"
# Of a noise level, and of the length of a latent: what is further apart is another one.
LEVEL, NEAR = 1e-3, 0.02


@dataclass(frozen=True)
class Edit:
    """The widgets of the node.

    Arguments:
        seed: of the noise.
        first: steps before the end at which the edit begins (n_max).
        alone: last steps without the source (n_min).
        draws: noises a step (n_avg).
        source_cfg: scale of classifier-free guidance of the source's prompt.
    """

    seed: int
    first: int
    alone: int
    draws: int
    source_cfg: float


class _Guider(comfy.samplers.CFGGuider):
    """The host's CFGGuider for the target, which evaluates a source as well."""

    def source_x0(self, x: Tensor, sigma: Tensor, scale: float) -> Tensor:
        """Estimate x0 (B, C, *S) for the source's prompt at sigma (B,), without guidance."""
        transformer = self.model_options.get("transformer_options", {})
        kept = {key: part for key, part in transformer.items() if not str(key).startswith(KEY)}
        x0: Tensor = comfy.samplers.sampling_function(
            *(self.inner_model, x, sigma, self.conds["negative"], self.conds[SOURCE], scale),
            model_options={**self.model_options, "transformer_options": kept},
        )
        return x0


def edited(
    plan: Plan,
    source: Any,
    latent: dict[str, Any],
    edit: Edit,
    mask: Tensor | None = None,
    path: Path | None = None,
) -> dict[str, Any]:
    """Return the LATENT of an image that is taken from the source's prompt to the plan's.

    What does not change keeps its bytes.

    Arguments:
        plan: model, the wanted prompt, and noise levels.
        source: CONDITIONING of the source.
        latent: LATENT of the image; its noise mask stands in for a mask.
        edit: how.
        mask: MASK (N, H, W), where the image may change.
        path: of the inverted image; None for fresh noise.

    Raises:
        ValueError: no image, more steps than there are, or the path of another image.
    """
    samples = latent["samples"]
    _check(plan, edit, samples, path)
    mask, guider = _mask(mask, latent), _guider(plan, source)
    changes: list[Tensor] = []

    def way(denoise: Denoise, sigmas: Tensor, image: Tensor, report: Callable) -> Tensor:
        alpha = signal_scale(plan.model.get_model_object("model_sampling"))
        own = lambda x, sigma: Estimate(guider.source_x0(x, sigma, edit.source_cfg), sigma)
        wanted = lambda x, sigma: Estimate(denoise(x, sigma), sigma)
        states = _states(image, sigmas, edit, latent, path, alpha)
        change = FlowEdit(edit.draws, edit.alone, mask)
        changes.append(change(own, wanted, states, sigmas, alpha, report))
        return image + changes[0]

    done = _sampled(guider, Walk(way), samples, plan.sigmas[-1 - edit.first :], edit.seed)
    unchanged = (changes[0] == 0).to(samples.device)
    return {**latent, "samples": torch.where(unchanged, samples, done)}


def _sampled(guider: _Guider, sampler: Any, samples: Tensor, sigmas: Tensor, seed: int) -> Tensor:
    done: Tensor = guider.sample(
        *(torch.zeros_like(samples), samples, sampler, sigmas),
        callback=latent_preview.prepare_callback(guider.model_patcher, len(sigmas) - 1),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )
    return done.to(samples)


def _mask(mask: Tensor | None, latent: dict[str, Any]) -> Tensor | None:
    """Where the latent may change, of the latent's shape: a mask, or the LATENT's own."""
    samples, mask = latent["samples"], latent.get("noise_mask") if mask is None else mask
    if mask is None:
        return None
    fitted: Tensor = comfy.sampler_helpers.prepare_mask(mask, samples.shape, samples.device)
    return fitted


def _guider(plan: Plan, source: Any) -> _Guider:
    guider = _Guider(plan.model)
    guider.inner_set_conds({"positive": plan.positive, "negative": plan.negative, SOURCE: source})
    guider.set_cfg(plan.cfg)
    return guider


def _states(
    image: Tensor,
    sigmas: Tensor,
    edit: Edit,
    latent: dict[str, Any],
    path: Path | None,
    alpha: Callable[[Tensor], Tensor],
) -> Source:
    if path is not None:
        return Along(path, len(path.sigmas) - len(sigmas), image)
    return Noised(image, sigmas, alpha, edit.seed, latent.get("batch_index"))


def steps_fault(n_min: int, n_max: int, steps: int) -> str | None:
    """Why these numbers of steps cannot be; None where they can."""
    if n_min < n_max <= steps:
        return None
    return (
        f"expected n_min < n_max <= steps, got n_min {n_min}, n_max {n_max} and {steps} steps: "
        "n_max counts the steps that edit, from the last one back"
    )


def _check(plan: Plan, edit: Edit, samples: Tensor, path: Path | None) -> None:
    """Refuse what cannot be edited, before the model is evaluated."""
    check_image(samples)
    steps = len(plan.sigmas) - 1
    fault = steps_fault(edit.alone, edit.first, steps)
    if fault:
        raise ValueError(fault)
    if path is None:
        return
    if path.states[0].shape != samples.shape:
        raise ValueError(
            f"the path is of latents of {lengths(path.states[0])}, the image is one of "
            f"{lengths(samples)}: connect the latent that was inverted"
        )
    own, given = plan.sigmas, path.sigmas.to(plan.sigmas)
    if len(own) != len(given) or ((own - given).abs() > LEVEL * own.clamp_min(LEVEL)).any():
        raise ValueError(
            "the path was made at other noise levels: use the steps and scheduler of Invert, "
            "with its denoise at 1"
        )
    there = plan.model.model.process_latent_in(samples).to(path.states[-1])
    if (there - path.states[-1]).norm() > NEAR * there.norm():
        raise ValueError(
            "the path is of another image than latent_image: connect the latent that was inverted"
        )
