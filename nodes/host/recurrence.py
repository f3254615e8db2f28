"""Self-recurrence around any of the host's samplers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import comfy.k_diffusion.sampling
import comfy.model_management
import comfy.samplers
from comfy.patcher_extension import WrappersMP
from torch import Tensor
from tqdm.auto import tqdm

from ...guidance_core.noise import mixed_seed
from ...guidance_core.procedures.recurrence import recurrent
from ...guidance_core.run import Run
from ...guidance_core.schedules import PercentWindow
from .batch_numbers import batch_numbers
from .run import KEY, signal_scale

WHOLE = PercentWindow(0.0, 1.0)
# In a run of one step UniPC does not move at all; its first order would be Euler's.
UNMOVED_BY_ONE_STEP = ("sample_unipc", "sample_unipc_bh2")


def recurrent_sampler(sampler: Any, recurrences: int, window: PercentWindow = WHOLE) -> Any:
    """Return a SAMPLER that takes each step inside the window several times.

    Arguments:
        sampler: the host's SAMPLER; with recurrences 1 it is returned itself.
        recurrences: how often each step inside the window is taken, >= 1.
        window: where steps recur.

    Raises:
        ValueError: recurrences is below 1, or the SAMPLER has no sampler function of the host's
            kind inside.
    """
    if recurrences < 1:
        raise ValueError(f"recurrences must be >= 1, got {recurrences}: 1 is off")
    if recurrences == 1:
        return sampler
    if not hasattr(sampler, "sampler_function"):
        raise ValueError(
            f"recurrence needs a SAMPLER of the host's own kind, got {type(sampler).__name__}: "
            "use KSamplerSelect"
        )
    return RecurrentSampler(sampler, recurrences, window)


def recurrent_model(model: Any, recurrences: int, window: PercentWindow = WHOLE) -> Any:
    """Return a clone of a MODEL whose samplers take each step inside the window several times.

    Arguments:
        model: the host's ModelPatcher; of several such clones, one after another, the last holds.
        recurrences: how often each step inside the window is taken, >= 1; with 1 the model is
            returned itself.
        window: where steps recur.
    """
    if recurrences == 1:
        return model

    def wrapper(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
        if not isinstance(executor.class_obj, RecurrentSampler):
            executor.class_obj = recurrent_sampler(executor.class_obj, recurrences, window)
            executor.original = executor.class_obj.sample
        return executor(*args, **kwargs)

    clone = model.clone()
    clone.remove_wrappers_with_key(WrappersMP.SAMPLER_SAMPLE, KEY)
    clone.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, KEY, wrapper)
    return clone


class RecurrentSampler(comfy.samplers.KSAMPLER):
    """The host's sampler, taking each step inside a window several times.

    Arguments:
        plain: the host's SAMPLER.
        recurrences: how often a step is taken.
        window: which steps.
    """

    def __init__(self, plain: Any, recurrences: int, window: PercentWindow) -> None:
        super().__init__(plain.sampler_function, plain.extra_options, plain.inpaint_options)
        self.recurrences, self.window = recurrences, window
        self.sampler_function = self._wrapped(plain.sampler_function, None)
        self._plain = plain.sampler_function

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
        total = self._total(model_wrap.inner_model.model_sampling, sigmas)
        report = None
        if callback is not None:
            report = lambda step, x0, x, _: callback(min(step, total - 1), x0, x, total)
        wrapped = self._wrapped(self._plain, batch_numbers(noise, extra_args.get("seed")))
        host = comfy.samplers.KSAMPLER(wrapped, self.extra_options, self.inpaint_options)
        return host.sample(model_wrap, sigmas, extra_args, report, noise, *rest, **kw)

    def _inside(self, model_sampling: Any) -> Callable[[float], bool]:
        window = self.window.on(lambda percent: float(model_sampling.percent_to_sigma(percent)))
        return lambda sigma: window(sigma) > 0

    def _total(self, model_sampling: Any, sigmas: Tensor) -> int:
        inside = self._inside(model_sampling)
        return sum(self.recurrences if inside(sigma) else 1 for sigma in sigmas[:-1].tolist())

    def _wrapped(self, plain: Callable, numbers: tuple[int, ...] | None) -> Callable:
        """Wrap a sampler function; the host wants it to have a name."""

        @functools.wraps(plain)
        def recurrent_function(
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
            stretches = _Stretches(plain, extra_args, callback, seed)
            draw = lambda like, step, repeat: run.noise(like, step, repeat)
            inside = self._inside(model_sampling)
            loop = recurrent(stretches, self.recurrences, run.alpha, draw, inside)
            with tqdm(total=self._total(model_sampling, sigmas), disable=disable) as bar:
                return loop(model, noise, sigmas, bar=bar, **options)

        return recurrent_function


class _Stretches:
    """A sampler function called for one stretch of noise levels after another.

    Every stretch has its own seed, or samplers that add noise would add the same each time.
    """

    def __init__(
        self, plain: Callable, extra_args: dict[str, Any], callback: Callable | None, seed: int
    ) -> None:
        self.plain, self.extra_args, self.callback, self.seed = plain, extra_args, callback, seed
        self.calls = self.done = 0

    def __call__(self, model: Any, x: Tensor, sigmas: Tensor, bar: tqdm, **options: Any) -> Tensor:
        comfy.model_management.throw_exception_if_processing_interrupted()
        seed = mixed_seed(self.seed, self.calls) if self.calls else self.extra_args.get("seed")
        args = {**self.extra_args, "seed": seed}
        report = None if self.callback is None else self._report
        plain = self.plain
        if len(sigmas) == 2 and getattr(plain, "__name__", "") in UNMOVED_BY_ONE_STEP:
            plain, options = comfy.k_diffusion.sampling.sample_euler, {}
        x = plain(model, x, sigmas, extra_args=args, callback=report, disable=True, **options)
        self.calls += 1
        self.done += len(sigmas) - 1
        bar.update(len(sigmas) - 1)
        return x

    def _report(self, state: dict[str, Any]) -> None:
        self.callback({**state, "i": self.done + state["i"]})
