"""A host's sampler that is called for one stretch of noise levels after another."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import comfy.k_diffusion.sampling
import comfy.model_management
import comfy.samplers
from comfy.patcher_extension import WrappersMP
from torch import Tensor
from tqdm.auto import tqdm

from ...guidance_core.noise import mixed_seed
from ...guidance_core.run import Run
from ...guidance_core.schedules import PercentWindow
from .batch_numbers import batch_numbers
from .run import KEY, GuidedRun
from .steps import signal_scale

# In a run of one step UniPC does not move at all; its first order would be Euler's.
UNMOVED_BY_ONE_STEP = ("sample_unipc", "sample_unipc_bh2")


@dataclass(frozen=True)
class Loop:
    """What is repeated.

    Arguments:
        name: of what it does.
        sampler: `sampler(stretches, run, guided, inside)` is the core's sampler that calls the
            stretches: `run` has signal scale and noise, `guided` is the pack's own run or None, and
            `inside` tells whether the step that starts at a noise level is repeated.
        times: how often a step inside is taken at most.
        window: where steps are repeated.
    """

    name: str
    sampler: Callable[..., Callable]
    times: int
    window: PercentWindow


def looped_sampler(sampler: Any, loop: Loop) -> Looped:
    """A SAMPLER under a loop.

    Raises:
        ValueError: it has no sampler function of the host's kind inside.
    """
    if not hasattr(sampler, "sampler_function"):
        raise ValueError(
            f"{loop.name} needs a SAMPLER of the host's own kind, got {type(sampler).__name__}: "
            "use KSamplerSelect"
        )
    return Looped(sampler, loop)


def looped_model(model: Any, wrap: Callable[[Any], Any], key: str = KEY) -> Any:
    """Return a clone of a MODEL whose samplers are wrapped.

    Arguments:
        model: the host's ModelPatcher; of several such clones with one key the last holds.
        wrap: gives a SAMPLER for a SAMPLER.
        key: of the wrapper.
    """

    def wrapper(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        executor.class_obj = wrap(executor.class_obj)
        executor.original = executor.class_obj.sample
        return executor(*args, **kwargs)

    clone = model.clone()
    clone.remove_wrappers_with_key(WrappersMP.SAMPLER_SAMPLE, key)
    clone.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, key, wrapper)
    return clone


class Looped(comfy.samplers.KSAMPLER):
    """The host's sampler under a loop.

    Arguments:
        plain: the host's SAMPLER, or another of these.
        loop: what is repeated.
    """

    def __init__(self, plain: Any, loop: Loop) -> None:
        super().__init__(plain.sampler_function, plain.extra_options, plain.inpaint_options)
        self.loop, self._plain = loop, plain
        self.sampler_function = self.function(None)

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict,
        callback: Any,
        noise: Tensor,
        *rest: Any,
        **kw: Any,
    ) -> Tensor:
        """Sample as the host's own, with a progress bar that counts repetitions."""
        total = self.total(model_wrap.inner_model.model_sampling, sigmas)
        report = None
        if callback is not None:
            report = lambda step, x0, x, _: callback(min(step, total - 1), x0, x, total)
        function = self.function(batch_numbers(noise, extra_args.get("seed")))
        host = comfy.samplers.KSAMPLER(function, self.extra_options, self.inpaint_options)
        return host.sample(model_wrap, sigmas, extra_args, report, noise, *rest, **kw)

    def total(self, model_sampling: Any, sigmas: Tensor) -> int:
        """How many steps there are at most, repetitions counted."""
        inside, plain = self._inside(model_sampling), self._plain
        each = [
            plain.total(model_sampling, pair) if isinstance(plain, Looped) else 1
            for pair in sigmas.unfold(0, 2, 1)
        ]
        again = [self.loop.times if inside(sigma) else 1 for sigma in sigmas[:-1].tolist()]
        return sum(steps * times for steps, times in zip(each, again, strict=True))

    def _inside(self, model_sampling: Any) -> Callable[[float], bool]:
        window = self.loop.window.on(lambda at: float(model_sampling.percent_to_sigma(at)))
        return lambda sigma: window(sigma) > 0

    def function(self, numbers: tuple[int, ...] | None) -> Callable:
        """The sampler function, which the host wants to have a name.

        Arguments:
            numbers: of the samples in the batch that they were first drawn in.
        """
        plain = self._plain
        inner = plain.function(numbers) if isinstance(plain, Looped) else plain.sampler_function

        @functools.wraps(inner)
        def looped(
            model: Any,
            noise: Tensor,
            sigmas: Tensor,
            extra_args: dict[str, Any],
            callback: Callable | None = None,
            disable: bool | None = None,
            **options: Any,
        ) -> Tensor:
            model_sampling = model.inner_model.inner_model.model_sampling
            seed = extra_args.get("seed") or 0
            run = Run(signal_scale(model_sampling), sigmas, seed=seed, numbers=numbers)
            stretches = Stretches(inner, extra_args, callback, seed, self.loop.times)
            inside = self._inside(model_sampling)
            sampler = self.loop.sampler(stretches, run, _guided(extra_args), inside)
            with tqdm(total=self.total(model_sampling, sigmas), disable=disable) as bar:
                return sampler(model, noise, sigmas, bar=bar, **options)

        return looped


def _guided(extra_args: dict[str, Any]) -> GuidedRun | None:
    found: GuidedRun | None = (
        extra_args.get("model_options", {}).get("transformer_options", {}).get(KEY)
    )
    return found


class Stretches:
    """A sampler function called for one stretch of noise levels after another.

    Every stretch has its own seed, or samplers that add noise would add the same each time.
    """

    def __init__(
        self,
        plain: Callable,
        extra_args: dict[str, Any],
        callback: Callable | None,
        seed: int,
        times: int,
    ) -> None:
        self.plain, self.extra_args, self.callback, self.seed = plain, extra_args, callback, seed
        self.times = times
        self.calls = self.done = self.steps = 0

    def __call__(
        self,
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        bar: tqdm,
        turn: int | None = None,
        **options: Any,
    ) -> Tensor:
        """Sample from the first of these levels to the last.

        `turn` tells the stretch where calls depend on what other samples of the batch need; in a
        loop of so many times that number is of what follows the loop.
        """
        comfy.model_management.throw_exception_if_processing_interrupted()
        number = self.calls if turn is None else turn
        seed = mixed_seed(self.seed, number) if number else self.extra_args.get("seed")
        args = {**self.extra_args, "seed": seed}
        plain, self.steps = self.plain, len(sigmas) - 1
        if turn == self.times:  # nothing is repeated any more: progress ends full
            unspent = max(bar.total - bar.n - self.steps, 0)
            self.done += unspent
            bar.update(unspent)
        if len(sigmas) == 2 and getattr(plain, "__name__", "") in UNMOVED_BY_ONE_STEP:
            plain, options = comfy.k_diffusion.sampling.sample_euler, {}
        x = plain(
            *(model, x, sigmas), extra_args=args, callback=self._report, disable=True, **options
        )
        self.calls += 1
        self.done += self.steps
        bar.update(self.steps)
        return x

    def _report(self, state: dict[str, Any]) -> None:
        # A sampler that is a loop itself takes more steps than there are levels.
        self.steps = max(self.steps, state["i"] + 1)
        if self.callback is not None:
            self.callback({**state, "i": self.done + state["i"]})
