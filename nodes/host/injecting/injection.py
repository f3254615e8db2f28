"""Injection: a MODEL whose evaluations are given what it shows for a source image.

The source is evaluated beside each evaluation of the sampler, at its own state of that noise level:
on the path of an inverted image, or, without one, on that of the same sampler, which then runs once
for the source before it runs for the edit.

References:
    Direct Inversion, Ju et al. 2023, arXiv:2310.01506 (the source on its own path).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import comfy.sampler_helpers
import comfy.samplers
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ....guidance_core.attention.alignment import Alignment
from ....guidance_core.attention.maps import resized
from ....guidance_core.procedures.inversion import Path
from ....guidance_core.procedures.local_blend import States, blend_mask, held, states_of
from ....guidance_core.process import euler_share, lengths
from ....guidance_core.schedules import PercentWindow
from .. import run, steps
from ..autograd.kernels import as_written
from ..autograd.weights import normal
from ..caches import switched_off
from ..reading.layouts import layout_of
from ..reading.layouts.unet import blocks
from .unet import Putting, Taken, UNetExchange, Wanted, residual

SOURCE = "source"
# What tells a prompt's cond in a sampler.
TAG = "energy_guidance_edited"
# Of the length of a latent: what starts further away from a path does not start from it.
NEAR = 0.02
LEVEL = 1e-3


@dataclass(frozen=True, eq=False)
class Blend:
    """Where the edit may show: where the source or the target attends to words.

    Arguments:
        source: places of the words in the source's context; may be none.
        target: those in the target's.
        layers: whose attention.
        threshold: as in `blend_mask`.
        window: where it acts; attention is collected from the first step on.
    """

    source: tuple[int, ...]
    target: tuple[int, ...]
    layers: tuple[str, ...]
    threshold: float
    window: PercentWindow


@dataclass(frozen=True, eq=False)
class Injection:
    """What a MODEL is given of a source.

    Arguments:
        name: of the node, for messages.
        source: CONDITIONING of the source's prompt.
        path: of an inverted image; None samples the source first.
        tag: of the prompt whose rows are changed; None changes the rows of all prompts.
        own: layers whose self-attention is the source's, and where.
        most: largest number of places of these layers; 0 for no limit.
        cross: layers whose attention to the prompt is edited, and where.
        alignment: how it is edited.
        features: layers whose features are the source's, and where.
        blend: where the edit may show; None for the whole image.
    """

    name: str
    source: Any
    path: Path | None
    tag: Any = None
    own: tuple[tuple[str, ...], PercentWindow | None] = ((), None)
    most: int = 0
    cross: tuple[tuple[str, ...], PercentWindow | None] = ((), None)
    alignment: Alignment | None = None
    features: tuple[tuple[str, ...], PercentWindow | None] = ((), None)
    blend: Blend | None = None


def injected(model: Any, injection: Injection) -> Any:
    """Return a clone of a MODEL that is given what an injection takes of its source.

    Arguments:
        model: MODEL, guided or not; of two injections of one name the last holds.
        injection: what is taken.
    """
    clone, key = model.clone(), f"{run.KEY}_{injection.name}"
    wrappers = {
        WrappersMP.OUTER_SAMPLE: _outer_sample(injection, key),
        WrappersMP.PREDICT_NOISE: _predict_noise(key),
    }
    for kind, wrapper in wrappers.items():
        clone.remove_wrappers_with_key(kind, key)
        clone.add_wrapper_with_key(kind, key, wrapper)
    return clone


def _outer_sample(injection: Injection, key: str) -> Callable:
    """The run begins: sample the source, if it has no path, then the edit."""

    def wrapper(executor: Any, noise: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        guider, (sampler, sigmas) = executor.class_obj, args[1:3]
        check(injection, guider, noise, sigmas)
        transformer = guider.model_options.setdefault("transformer_options", {})
        prompts = guider.conds
        fresh = lambda conds: {name: [cond.copy() for cond in part] for name, part in conds.items()}
        source = comfy.sampler_helpers.convert_cond(injection.source)
        here = transformer[key] = InjectedRun(injection, guider, sampler, sigmas)
        others = transformer.get(run.WHOLE, ())
        transformer[run.WHOLE] = (*others, *here.modules)
        try:
            if injection.path is None:
                guider.conds = fresh({**prompts, "positive": source})
                with here.recording(), run.unguided(transformer):
                    executor(noise, *args[:4], None, *args[5:], **kwargs)
            guider.conds = fresh({**prompts, SOURCE: source})
            return executor(noise, *args, **kwargs)
        finally:
            transformer.pop(key, None)
            transformer[run.WHOLE] = others

    return wrapper


def _predict_noise(key: str) -> Callable:
    def wrapper(executor: Any, x: Tensor, sigma: Tensor, *args: Any, **kwargs: Any) -> Any:
        here = executor.class_obj.model_options["transformer_options"].get(key)
        if here is None:
            return executor(x, sigma, *args, **kwargs)
        return here.step(executor, x, sigma, *args, **kwargs)

    return wrapper


def check(injection: Injection, guider: Any, noise: Tensor, sigmas: Tensor) -> None:
    """Refuse a run that an injection does not fit, before the model is evaluated.

    Raises:
        ValueError: the prompt is another one, or the path is of another size or of other levels.
    """
    if injection.tag is not None and not _edited(injection, guider):
        raise ValueError(
            f"the sampler's positive prompt is not that of {injection.name}: connect the positive "
            f"output of {injection.name} to it"
        )
    path = injection.path
    if path is None:
        return
    there = path.states.shape[1:]
    if there[1:] != noise.shape[1:] or there[0] not in (1, len(noise)):
        raise ValueError(
            f"{injection.name}: the path is of latents of {lengths(path.states[0])}, this run's "
            f"are {lengths(noise)}: invert an image of this size, one or as many as the batch has"
        )
    levels = path.sigmas.to(sigmas)
    apart = (sigmas[:-1, None] - levels[None, :-1]).abs().amin(1)
    if (apart > LEVEL * sigmas[:-1]).any():
        raise ValueError(
            f"{injection.name}: the path was made at other noise levels than this run has: use "
            "the steps, scheduler and denoise of Invert in the sampler"
        )


def _edited(injection: Injection, guider: Any) -> list[dict[str, Any]]:
    """Conds of the prompt whose rows are changed."""
    conds = guider.conds.get("positive") or []
    return [cond for cond in conds if cond.get(TAG) == injection.tag]


class InjectedRun:
    """State of one run of an injected model.

    Arguments:
        injection: what is taken.
        guider: the host's guider.
        sampler: the host's SAMPLER.
        sigmas: noise levels of the run, shape (N,).
    """

    def __init__(self, injection: Injection, guider: Any, sampler: Any, sigmas: Tensor) -> None:
        self.injection, self.guider = injection, guider
        model = guider.model_patcher
        self.network = model.get_model_object("diffusion_model")
        model_sampling = model.get_model_object("model_sampling")
        self._at = lambda percent: float(model_sampling.percent_to_sigma(percent))
        self._levels = sigmas.tolist()
        share = steps.share_of(sampler, sigmas, run.is_flow(model_sampling))
        self._share = share or euler_share
        there = dict(blocks(as_written(self.network)))
        residuals = {name: residual(there[name]) for name in injection.features[0]}
        self.exchange = UNetExchange(layout_of(self.network).attention, residuals)
        self._recorded: dict[float, tuple[Tensor, Tensor]] = {}
        self._recording = False
        path = injection.path
        self._states = None if path is None else states_of(path)
        self._maps: list[tuple[Tensor, Tensor]] = []
        self._begun = False

    def __deepcopy__(self, memo: dict[int, Any]) -> InjectedRun:
        """The run itself: packs copy the host's options, which hold it, during sampling."""
        return self

    @property
    def modules(self) -> list[Any]:
        """Modules that must keep their graph, for they are changed while they run."""
        names = {*self.injection.own[0], *self.injection.cross[0]}
        names |= set(self.injection.blend.layers) if self.injection.blend else set()
        attention = [self.exchange.attention[name] for name in names]
        return [*attention, *self.exchange.residuals.values()]

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record the states of the source inside."""
        self._recording = True
        try:
            yield
        finally:
            self._recording = False
        self._states = States(self._recorded)

    def step(
        self,
        executor: Any,
        x: Tensor,
        sigma: Tensor,
        model_options: dict[str, Any],
        seed: Any = None,
    ) -> Any:
        """Return x0 after CFG (B, C, *S) at x and sigma (B,), injected."""
        options = {key: part for key, part in model_options.items() if key != "multigpu_clones"}
        options, level = switched_off(options), float(sigma.flatten()[0])
        if self._recording:
            predicted = executor(x, sigma, options, seed)
            self._recorded[level] = (x.detach().clone(), _first(predicted).detach().clone())
            return predicted
        wanted = self.wanted(level)
        if not wanted:
            return executor(x, sigma, options, seed)
        with torch.inference_mode(False), torch.no_grad():
            state, x0 = (normal(part.to(x)) for part in self._states.at(level))
            self._check_start(x, state)
            taken = self._taken(state, normal(sigma), options, wanted)
            uuids = None if self.injection.tag is None else self._uuids()
        alignment = self.injection.alignment
        places = 0 if alignment is None else len(alignment.share)
        putting = Putting(taken, uuids, alignment, places, self.injection.most)
        with self.exchange.putting(self.network, wanted, putting):
            predicted = executor(x, sigma, options, seed)
        return self._blended(predicted, x, level, putting, (state, x0))

    def wanted(self, level: float) -> Wanted:
        """What is exchanged at a noise level."""
        inside = lambda part: part[0] if part[1] and part[1].on(self._at)(level) else ()
        one, blend = self.injection, self.injection.blend
        seen = () if blend is None else blend.layers
        return Wanted(inside(one.own), inside(one.cross), seen, inside(one.features))

    def _check_start(self, x: Tensor, state: Tensor) -> None:
        if self._begun or self.injection.path is None:
            return
        self._begun = True
        if (x - state).norm() > NEAR * x.norm():
            raise ValueError(
                f"{self.injection.name}: the sampler does not start from the inverted image: "
                "connect the noise or the latent of Invert to it"
            )

    def _taken(
        self, state: Tensor, sigma: Tensor, options: dict[str, Any], wanted: Wanted
    ) -> Taken:
        """Evaluate the source, without guidance and without what is put into others."""
        kept = {
            key: part
            for key, part in options.get("transformer_options", {}).items()
            if not str(key).startswith(run.KEY)
        }
        guider, options = self.guider, {**options, "transformer_options": kept}
        with self.exchange.taking(wanted) as taken:
            comfy.samplers.calc_cond_batch(
                guider.inner_model, [guider.conds[SOURCE]], state, sigma[: len(state)], options
            )
        return taken

    def _uuids(self) -> frozenset[Any]:
        return frozenset(cond["uuid"] for cond in _edited(self.injection, self.guider))

    def _blended(
        self,
        predicted: Any,
        x: Tensor,
        level: float,
        putting: Putting,
        source: tuple[Tensor, Tensor],
    ) -> Any:
        blend = self.injection.blend
        if blend is None:
            return predicted
        self._collect(blend, putting)
        if not blend.window.on(self._at)(level):
            return predicted
        following = max((one for one in self._levels if one < level), default=0.0)
        outside = held(x, *source, self._share(level, following))
        mask = self._mask(blend, x.shape[-2:])
        if isinstance(predicted, tuple):
            return (torch.where(mask, predicted[0], outside), *predicted[1:])
        return torch.where(mask, predicted, outside)

    def _collect(self, blend: Blend, putting: Putting) -> None:
        """Keep the attention to the words of this evaluation, for source and target."""
        pairs = []
        for name in blend.layers:
            source, target, size = putting.maps[name]
            sides = ((source, blend.source), (target, blend.target))
            pairs.append(
                [
                    weights[..., list(places)].sum(-1).mean(1).unflatten(-1, size)
                    for weights, places in sides
                ]
            )
        finest = max((pair[0].shape[-2:] for pair in pairs), key=lambda size: size[0] * size[1])
        means = [
            torch.stack([resized(maps, finest) for maps in side]).mean(0)
            for side in zip(*pairs, strict=True)
        ]
        self._maps.append((means[0], means[1]))

    def _mask(self, blend: Blend, size: Any) -> Tensor:
        """Where the edit may show, shape (B, 1, H, W), by the attention up to now."""
        sides = [torch.stack(side).mean(0) for side in zip(*self._maps, strict=True)]
        places = (blend.source, blend.target)
        masks = [
            blend_mask(maps, size, blend.threshold)
            for maps, there in zip(sides, places, strict=True)
            if there
        ]
        return masks[0] if len(masks) == 1 else masks[0] | masks[1]


def _first(predicted: Any) -> Tensor:
    return predicted[0] if isinstance(predicted, tuple) else predicted
