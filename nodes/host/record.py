"""Record a reference: attention and features inside the model while it samples a source image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import comfy.samplers
import latent_preview
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ...guidance_core.attention.references import Reference
from ...guidance_core.attention.words import Word, attention_to
from ...guidance_core.captures import DEFAULT, Attention, Capture, Features, Layers, chosen_layers
from ...guidance_core.procedures.inversion import Path
from ...guidance_core.rules.recording import Recording
from . import guide
from .invert import Denoise, Walk, latent_of
from .reading.layouts import layout_of
from .samplers import Plan, sample
from .steps import function_name


def requests(
    model: Any,
    words: tuple[Word, ...] | None,
    maps: bool,
    features: bool,
    layers: Layers,
    heads: str = "mean",
) -> frozenset[Capture]:
    """Return what to record: the maps of these words, or of every position, and features.

    Arguments:
        model: MODEL.
        words: words of the prompt; None is all of it.
        maps: whether attention maps are wanted.
        features: whether features are wanted.
        layers: "default", "all" or names of layers; each name goes to the maps or to the features,
            whichever it is a layer of, and where none is left over the default ones are taken.
        heads: "mean" of a layer's heads, or "each".

    Raises:
        ValueError: the model has no such layer, or cannot be read at all.
    """
    there = layout_of(model.model.diffusion_model)
    if not isinstance(layers, str):
        chosen_layers(layers, (), tuple(dict.fromkeys((*there.attention, *there.features))))
    wanted: set[Capture] = set()
    if maps:
        named = _those_in(there.attention, layers)
        every = Attention((), named, heads)
        wanted.add(every if words is None else attention_to(words, named, heads))
    if features:
        wanted.add(Features(_those_in(there.features, layers)))
    return frozenset(wanted)


def _those_in(there: Mapping[str, Any], layers: Layers) -> Layers:
    if isinstance(layers, str):
        return layers
    return tuple(name for name in layers if name in there) or DEFAULT


def watched(model: Any, wanted: frozenset[Capture]) -> tuple[Any, Callable[[Tensor], Reference]]:
    """Return a MODEL whose attention and features are kept, and what makes a reference of them.

    Arguments:
        model: MODEL.
        wanted: what to record.
    """
    levels: dict[float, dict[Capture, tuple[Tensor, ...]]] = {}

    def note(sigma: float, values: Any) -> None:
        half = lambda value: value.detach().to("cpu", torch.float16)
        levels[sigma] = {request: tuple(map(half, parts)) for request, parts in values.items()}

    recorded = guide.apply(model, [Recording(wanted, note)])
    return recorded, lambda latent: Reference(levels, tuple(latent.shape[-2:]))


def sampled(
    plan: Plan, sampler_name: str, seed: int, latent: dict[str, Any]
) -> tuple[dict[str, Any], Any]:
    """Sample a source; returns its LATENT and its path.

    The path is blocked for samplers but euler's, and for a video that is sampled with its sound.

    Arguments:
        plan: model, prompts and noise levels.
        sampler_name: name of a sampler.
        seed: seed of the noise.
        latent: LATENT to start from.
    """
    states: list[Tensor] = []
    preview = latent_preview.prepare_callback(plan.model, len(plan.sigmas) - 1)

    several = getattr(latent["samples"], "is_nested", False)

    def keep(step: int, x0: Tensor, x: Tensor, total: int) -> None:
        if not several:
            states.append(x.detach().cpu().clone())
        preview(step, x0, x, total)

    done = sample(plan, sampler_name, seed, latent, callback=keep)
    if function_name(comfy.samplers.sampler_object(sampler_name)) != "sample_euler":
        return done, ExecutionBlocker(
            f"the path of a sampled source needs a sampler whose steps are straight, got "
            f"{sampler_name}: choose euler in Record Reference"
        )
    if several:
        return done, ExecutionBlocker(
            "expected a source of one latent for a path, got a video with its sound: record the "
            "video alone, or use the reference, which has no need of a path"
        )
    states.append(plan.model.model.process_latent_in(done["samples"]).cpu())
    return done, Path(plan.sigmas.cpu(), torch.stack(states))


def follow(plan: Plan, path: Path) -> dict[str, Any]:
    """Evaluate a model at the states of a path; returns the path's image as a LATENT.

    This is direct inversion: the source stays on its own path, whatever the model would make of it.

    References:
        Direct Inversion, Ju et al. 2023, arXiv:2310.01506.
    """

    def along(denoise: Denoise, sigmas: Tensor, latent: Tensor, report: Callable) -> Tensor:
        for step, (sigma, state) in enumerate(zip(sigmas[:-1], path.states[:-1], strict=True)):
            x = state.to(latent)
            report(step, denoise(x, sigma.expand(len(x))), x)
        return path.states[-1].to(latent)

    latent = latent_of(plan, path)
    plan = replace(plan, sigmas=path.sigmas)
    return {"samples": plan.run(Walk(along), torch.zeros_like(latent), latent)}
