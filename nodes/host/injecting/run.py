"""State of one run of an injected model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import comfy.samplers
import torch
from torch import Tensor

from ....guidance_core.attention.maps import resized
from ....guidance_core.procedures.local_blend import States, blend_mask, held, states_of
from ....guidance_core.process import euler_share
from .. import run, steps
from ..autograd.weights import normal
from ..caches import switched_off
from ..reading.prompts import prompt_at
from ..streams import Streams
from .exchange import exchange_of
from .injection import Blend, Injection, edited
from .putting import Putting, Taken, Texts, mixed
from .wanted import Wanted

SOURCE = "source"
# Of the length of a latent: what starts further away from a path does not start from it.
NEAR = 0.02


class InjectedRun:
    """State of one run of an injected model.

    Arguments:
        injection: what is taken.
        guider: the host's guider.
        sampler: the host's SAMPLER.
        sigmas: noise levels of the run, shape (N,).
        streams: where the image lies in what the host samples.
    """

    def __init__(
        self, injection: Injection, guider: Any, sampler: Any, sigmas: Tensor, streams: Streams
    ) -> None:
        self.injection, self.guider, self.streams = injection, guider, streams
        model = guider.model_patcher
        self.network = model.get_model_object("diffusion_model")
        model_sampling = model.get_model_object("model_sampling")
        self._at = lambda percent: float(model_sampling.percent_to_sigma(percent))
        self._levels = sigmas.tolist()
        share = steps.share_of(sampler, sigmas, steps.is_flow(model_sampling))
        self._share = share or euler_share
        self.exchange = exchange_of(self.network, injection.features[0])
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
        one, blend = self.injection, self.injection.blend
        there, names = self.exchange, {*one.cross[0], *one.shared[0], *one.itself[0]}
        names |= set(blend.layers) if blend else set()
        return [
            *(there.attention[name] for name in names),
            *(there.itself[name] for name in one.own[0]),
            *(there.features[name] for name in one.features[0]),
        ]

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
        one = self.injection
        words = ((), ()) if one.blend is None else (one.blend.source, one.blend.target)
        putting = Putting(taken, uuids, one.alignment, self._texts(level), words, one.most)
        with self.exchange.putting(self.network, wanted, putting):
            predicted = executor(x, sigma, options, seed)
        return self._blended(predicted, x, level, putting, (state, x0))

    def wanted(self, level: float) -> Wanted:
        """What is exchanged at a noise level."""
        inside = lambda part: part[0] if part[1] and part[1].on(self._at)(level) else ()
        one, blend = self.injection, self.injection.blend
        seen = () if blend is None else blend.layers
        return Wanted(
            *(inside(one.own), inside(one.cross), seen, inside(one.features)),
            *(inside(one.shared), inside(one.itself)),
        )

    def _texts(self, level: float) -> Texts:
        """Where both prompts stand in their contexts; nowhere where none is edited."""
        if self.injection.alignment is None:
            return slice(0), slice(0)
        target = edited(self.injection, self.guider)
        found = [prompt_at(conds, None, level) for conds in (self.guider.conds[SOURCE], target)]
        first = [one.places[0] for one in found if one is not None]
        lengths = self.injection.alignment.source.shape
        there, here = (slice(at, at + count) for at, count in zip(first, lengths, strict=True))
        return there, here

    def _check_start(self, x: Tensor, state: Tensor) -> None:
        if self._begun or self.injection.path is None or self.injection.mix is not None:
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
                *(guider.inner_model, [guider.conds[SOURCE]], state),
                *(sigma[:1].expand(len(state)), options),
            )
        mix = self.injection.mix
        return taken if mix is None else {key: mixed(mix, part) for key, part in taken.items()}

    def _uuids(self) -> frozenset[Any]:
        return frozenset(cond["uuid"] for cond in edited(self.injection, self.guider))

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
        first = self.streams.first
        mask, x0 = self._mask(blend, first(x).shape[2:]), _first(predicted)
        shown = self.streams.joined(torch.where(mask, first(x0), first(outside)), x0)
        return (shown, *predicted[1:]) if isinstance(predicted, tuple) else shown

    def _collect(self, blend: Blend, putting: Putting) -> None:
        """Keep the attention to the words of this evaluation, for source and target."""
        pairs = [putting.maps[name] for name in blend.layers]
        finest = max((pair[0].shape[-2:] for pair in pairs), key=lambda size: size[0] * size[1])
        means = [
            torch.stack([resized(maps, finest) for maps in side]).mean(0)
            for side in zip(*pairs, strict=True)
        ]
        self._maps.append((means[0], means[1]))

    def _mask(self, blend: Blend, size: Any) -> Tensor:
        """Where the edit may show, shape (B, 1, *S), by the attention up to now."""
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
