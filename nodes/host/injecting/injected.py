"""A MODEL whose evaluations are given what it shows for a source image.

The source is evaluated beside each evaluation of the sampler, at its own state of that noise level:
on the path of an inverted image, or, without one, on that of the same sampler, which then runs once
for the source before it runs for the edit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.sampler_helpers
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from .. import run
from ..streams import Streams
from .injection import Injection, beside, check
from .run import SOURCE, InjectedRun


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
        source = beside(injection, guider, source)
        streams = Streams(kwargs.get("latent_shapes"))
        here = transformer[key] = InjectedRun(injection, guider, sampler, sigmas, streams)
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
