"""What one step of the host's samplers does with a change of x0."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import comfy.model_sampling
import torch
from torch import Tensor

from ...guidance_core.process import EULER_ONLY, ONE_STEP_ONLY, euler_share, is_euler_share

Share = Callable[[float, float], float]


def share_of(sampler: Any, sigmas: Tensor, flow: bool) -> Share | None:
    """Return how much of a change of x0 a step carries into the next latent.

    None for samplers that remember earlier steps, evaluate between two noise levels or churn, and
    for noise levels that do not only fall: there a change of x0 acts on more than one step.

    Arguments:
        sampler: the host's SAMPLER.
        sigmas: noise levels of the run, shape (N,).
        flow: whether alpha is 1 - sigma, not 1.
    """
    if not (sigmas[1:] < sigmas[:-1]).all() or _option(sampler, "s_churn"):
        return None
    eta = _option(sampler, "eta")
    known: dict[str, Share] = {
        "sample_euler": euler_share,
        "sample_euler_cfg_pp": euler_share,
        "sample_euler_ancestral": _flow_ancestral(eta) if flow else _ancestral(eta),
        "sample_lcm": (lambda sigma, following: 1 - following)
        if flow
        else (lambda sigma, following: 1.0),
    }
    if not flow:
        known["sample_ddpm"] = _ancestral(1.0)
        known["sample_euler_ancestral_cfg_pp"] = _ancestral(eta)
    return known.get(function_name(sampler))


def check(rules: Sequence[Any], sampler: Any, share: Share | None, sigmas: Tensor) -> None:
    """Refuse rules that move the latent after a step, where a step is more than one evaluation.

    Those that put their own noise into a step need Euler's, which has none.

    Raises:
        ValueError: raised before the first model call.
    """
    whole = [rule for rule in rules if getattr(rule, "one_step", False)]
    if whole and share is None:
        raise ValueError(_refused(whole, sampler, "one_step_only", ONE_STEP_ONLY))
    noisy = [rule for rule in rules if getattr(rule, "replaces_noise", False)]
    if noisy and not _is_euler(sampler, share, sigmas):
        raise ValueError(_refused(noisy, sampler, "euler_only", EULER_ONLY))


def _refused(rules: Sequence[Any], sampler: Any, name: str, usual: str) -> str:
    """Why rules refuse a sampler: in their own words, if they have some under this name."""
    named = " and ".join(type(rule).__name__ for rule in rules)
    reason = getattr(rules[0], name, usual)
    return f"{named} with sampler {function_name(sampler)}: {reason}"


def _is_euler(sampler: Any, share: Share | None, sigmas: Tensor) -> bool:
    if share is None or noise_from_uncond(sampler):
        return False
    return all(is_euler_share(share(*step), *step) for step in itertools.pairwise(sigmas.tolist()))


def noise_from_uncond(sampler: Any) -> bool:
    """Whether the sampler takes its noise from the unconditional estimate (CFG++)."""
    return function_name(sampler).endswith("_cfg_pp")


def function_name(sampler: Any) -> str:
    """Name of the sampler function, or of the SAMPLER's class where it has none."""
    function = getattr(sampler, "sampler_function", None)
    return getattr(function, "__name__", type(sampler).__name__)


def _option(sampler: Any, name: str) -> float:
    """A number among the options of a sampler function, its default where none was given."""
    function = getattr(sampler, "sampler_function", None)
    given = getattr(sampler, "extra_options", {})
    if name in given or function is None:
        return float(given.get(name, 0.0))
    parameter = inspect.signature(function).parameters.get(name)
    known = parameter is not None and parameter.default is not inspect.Parameter.empty
    return float(parameter.default) if known else 0.0


def _ancestral(eta: float) -> Share:
    """Ancestral steps of models with alpha 1."""

    def share(sigma: float, following: float) -> float:
        square = following**2
        up = min(square, eta**2 * square * (sigma**2 - square) / sigma**2)
        return 1 - (square - up) ** 0.5 / sigma

    return share


def _flow_ancestral(eta: float) -> Share:
    """Ancestral steps of flows; the last one, to 0, adds no noise."""

    def share(sigma: float, following: float) -> float:
        down = following * (1 + (following / sigma - 1) * eta)
        return (1 - down / sigma) * (1 - following) / (1 - down)

    return share


def signal_scale(model_sampling: Any) -> Any:
    """Return alpha(sigma) of x = alpha * x0 + sigma * noise: 1 - sigma for flows, else 1."""
    if is_flow(model_sampling):
        return lambda sigma: 1 - sigma
    return torch.ones_like


def is_flow(model_sampling: Any) -> bool:
    """Whether the model is a flow, whose latents fade as the noise grows."""
    return isinstance(model_sampling, comfy.model_sampling.CONST)
