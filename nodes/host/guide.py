"""Guide a MODEL: a clone that any sampler and any guider samples under rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn

from ...guidance_core.requirements import requirements_of
from .autograd import memory
from .browser import monitor
from .caches import inside_guidance
from .decode import decoder as choose_decoder
from .guidance import Guidance
from .latents import (
    check_frames,
    check_has_image,
    check_noisy_latents,
    looks_at_image,
)
from .networks import managed
from .reading.layouts import layout_of
from .reading.run_reader import check_references
from .run import KEY, UNGUIDED, GuidedRun
from .streams import Streams


def apply(
    model: Any,
    rules: Sequence[Any],
    *,
    vae: Any = None,
    decoder: str = "auto",
    decode_at: str = "full",
    trace: Callable | None = None,
) -> Any:
    """Return a clone of a MODEL that is guided by rules.

    Arguments:
        model: the host's ModelPatcher; guided ones may be guided again, their rules join.
        rules: rules, innermost first.
        vae: the host's VAE, for energies that look at the image.
        decoder: see `decode.decoder`.
        decode_at: "full", or "crops" where energies with a mask are shown what it needs alone.
        trace: receives what the rules did.

    Raises:
        ValueError: a required input is missing; raised before the first model call.
    """
    guided = model.clone()
    if any(map(looks_at_image, rules)):
        check_has_image(guided.model)
    previous = guided.get_attachment(KEY) or Guidance(())
    reader = _decoder(decoder, vae, guided.get_model_object("latent_format"), rules, previous)
    if decode_at == "crops" and reader is not None:
        reader = replace(reader, parts=True)
    traces = () if trace is None else monitor.sinks_of(trace)
    guidance = Guidance(tuple(rules), reader, traces)
    guidance = previous.joined(guidance)
    _check(guidance, guided.get_model_object("diffusion_model"))
    attach(guided, guidance)
    return guided


def _decoder(
    choice: str, vae: Any, latent_format: Any, rules: Sequence[Any], previous: Guidance
) -> Any:
    """The decoder of these rules on top of a guidance; None to keep its own.

    Rules that look at no image leave the decoder of others alone.
    """
    looks = any(map(looks_at_image, rules))
    exact = previous.needs_vae or Guidance(tuple(rules)).needs_vae or not looks
    reader = choose_decoder(choice, vae, latent_format, exact=exact)
    return reader if looks or previous.decoder is None else None


def _check(guidance: Guidance, network: nn.Module) -> None:
    requirements = guidance.requirements
    if requirements.reads_image and guidance.decoder is None:
        raise ValueError(
            "an energy looks at the image, but there is no VAE to decode the latent: "
            "connect a VAE, or choose decoder 'taesd' or 'rgb' in Apply Guidance"
        )
    for rule in guidance.rules:
        inside = requirements_of([rule]).not_of_estimate if hasattr(rule, "energy") else ""
        if inside and not getattr(rule, "through_model", True):
            raise ValueError(
                f"{type(rule).__name__} works at the clean estimate, but its energy reads "
                f"{inside}: use Rule: Forward or Rule: Latent Update"
            )
    if guidance.projects and not hasattr(guidance.decoder, "encode"):
        raise ValueError(
            "the projection needs a decoder that can encode too, got none: connect a VAE and "
            "choose decoder 'vae', or switch the projection off"
        )
    for request in requirements.captures:
        layout_of(network).layers(request)


def attach(guided: Any, guidance: Guidance) -> None:
    """Put the wrappers of this pack, and only those, on the clone."""
    wrappers = {
        WrappersMP.OUTER_SAMPLE: _outer_sample(guidance),
        WrappersMP.PREPARE_SAMPLING: _prepare_sampling(guidance),
        WrappersMP.PREDICT_NOISE: _predict_noise,
        WrappersMP.CALC_COND_BATCH: _calc_cond_batch,
        WrappersMP.APPLY_MODEL: _apply_model,
    }
    guided.set_attachments(KEY, guidance)
    for kind, wrapper in wrappers.items():
        guided.remove_wrappers_with_key(kind, KEY)
        guided.add_wrapper_with_key(kind, KEY, wrapper)
    patchers = [managed(network) for network in guidance.requirements.networks]
    if guidance.reader is not None:
        patchers += guidance.reader.patchers
    guided.set_additional_models(KEY, patchers)


def _outer_sample(guidance: Guidance) -> Callable:
    """The run begins: make its state, and put it where the other wrappers find it."""

    def wrapper(executor: Any, noise: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if UNGUIDED in executor.class_obj.model_options.get("transformer_options", {}):
            return executor(noise, *args, **kwargs)
        guider, sigmas = executor.class_obj, kwargs["sigmas"] if "sigmas" in kwargs else args[2]
        seed = kwargs["seed"] if "seed" in kwargs else args[6]
        sampler = kwargs["sampler"] if "sampler" in kwargs else args[1]
        streams = Streams(kwargs.get("latent_shapes"))
        latent = streams.first(noise)
        monitor.start(guidance.traces)
        check_noisy_latents(guidance.requirements.networks, latent)
        check_references(guidance.rules, latent, guider.conds.get("positive"))
        run = GuidedRun(guidance, guider, sigmas, seed, sampler, latent, streams)
        check_frames(run.rules, latent, sigmas)
        options = guider.model_options.setdefault("transformer_options", {})
        options[KEY] = run
        try:
            decoder = "" if guidance.reader is None else guidance.reader.name
            shown = monitor.shown(guidance.traces, run.model_sampling, sigmas, decoder)
            with shown, inside_guidance(options):
                return executor(noise, *args, **kwargs)
        finally:
            options.pop(KEY, None)
            run.end()

    return wrapper


def _prepare_sampling(guidance: Guidance) -> Callable:
    """The host frees memory: ask for that of the backward pass too."""

    def wrapper(executor: Any, patcher: Any, noise_shape: Any, *args: Any, **kwargs: Any) -> Any:
        shape = list(noise_shape)
        graphs = [shape[0] * guidance.graphs, *shape[1:]]
        extra = memory.asked_for(patcher, graphs) if guidance.graphs else 0.0
        if guidance.reader is not None:
            images = torch.Size([guidance.decoded(shape[0]), *shape[1:]])
            extra += guidance.reader.graph_bytes(images)
        widened = (
            memory.widened(shape, extra, patcher.model.memory_required) if extra else noise_shape
        )
        return executor(patcher, widened, *args, **kwargs)

    return wrapper


def _predict_noise(executor: Any, x: Tensor, sigma: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """One denoising step, x0 after CFG: untouched where no rule has work, guided elsewhere."""
    transformer = executor.class_obj.model_options["transformer_options"]
    run = transformer.get(KEY)
    if run is None or UNGUIDED in transformer or not run.active(sigma):
        return executor(x, sigma, *args, **kwargs)
    return run.step(executor, x, sigma, *args, **kwargs)


def _calc_cond_batch(
    executor: Any, model: Any, conds: Any, x: Tensor, sigma: Tensor, options: dict
) -> list[Tensor]:
    """The branches of CFG: only the positive ones carry a graph."""
    run = options.get("transformer_options", {}).get(KEY)
    if run is None or run.evaluation is None:
        return executor(model, conds, x, sigma, options)
    return run.evaluation.branches(executor, model, conds, x, sigma, options)


def _apply_model(executor: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The network itself: read from it, and lend it weights that autograd may save."""
    options = kwargs.get("transformer_options") or (args[4] if len(args) > 4 else {})
    run = options.get(KEY) if options else None
    if run is None:
        return executor(x, *args, **kwargs)
    return run.forward(executor, x, options, args, kwargs)
