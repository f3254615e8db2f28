"""Who has cut the gradient of an evaluation: what other packs put around the model, by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn

from ....guidance_core.types import Estimate

INSTEAD = "use Rule: Backward or Rule: Manifold, which need no gradient through the model"
INACTIVE = (
    "no gradient reaches the model's input: no positive prompt is active at this step; give one a "
    "time range that covers the guided steps, or " + INSTEAD
)
AROUND_MODEL = (
    (WrappersMP.CALC_COND_BATCH, WrappersMP.APPLY_MODEL, WrappersMP.DIFFUSION_MODEL),
    ("model_function_wrapper", "sampler_calc_cond_batch_function"),
)
AROUND_CFG = (
    (WrappersMP.PREDICT_NOISE, WrappersMP.CALC_COND_BATCH),
    (
        "sampler_calc_cond_batch_function",
        "sampler_pre_cfg_function",
        "sampler_cfg_function",
        "sampler_post_cfg_function",
    ),
)


@contextlib.contextmanager
def noticed(network: nn.Module, told: Callable[[], None]) -> Iterator[None]:
    """Tell where the output of a network has no gradient: x0 keeps that of x beside it."""

    def look(module: nn.Module, args: tuple, output: Any) -> None:
        if isinstance(output, Tensor) and not output.requires_grad:
            told()

    handle = network.register_forward_hook(look)
    try:
        yield
    finally:
        handle.remove()


def check_slope(
    estimate: Estimate,
    options: Mapping[str, Any],
    own: str,
    *,
    active: bool,
    inside_model: bool,
    behind_model: bool,
) -> None:
    """Refuse an estimate that should have a gradient and has none.

    Arguments:
        estimate: of an evaluation that was asked for a graph.
        options: the host's model options.
        own: key of this pack's wrappers.
        active: whether the model was evaluated for a positive prompt.
        inside_model: whether it was lost there.
        behind_model: whether the branches of CFG still had it.

    Raises:
        RuntimeError: another pack has cut it, or no positive prompt is active.
    """
    captured = [part for parts in estimate.captures.values() for part in parts]
    if not inside_model and any(part.requires_grad for part in (estimate.x0, *captured)):
        return
    if not active:
        raise RuntimeError(INACTIVE)
    kinds, names = AROUND_CFG if behind_model and not inside_model else AROUND_MODEL
    raise RuntimeError(
        f"no gradient reaches the model's input: {_packs(options, own, kinds, names)} computes "
        f"without one (torch.no_grad or torch.inference_mode); leave that pack out, or {INSTEAD}"
    )


def _packs(options: Mapping[str, Any], own: str, kinds: Sequence[str], names: Sequence[str]) -> str:
    """The functions of other packs at these places, by key, module and name."""
    wrappers = options.get("transformer_options", {}).get("wrappers", {})
    found = [
        f"{key} ({_name(function)})"
        for kind in kinds
        for key, functions in wrappers.get(kind, {}).items()
        for function in functions
        if key != own
    ]
    held = [options[name] for name in names if options.get(name) is not None]
    held = [part for parts in held for part in (parts if isinstance(parts, list) else [parts])]
    return " or ".join([*found, *map(_name, held)]) or "a pack that replaces parts of ComfyUI"


def _name(function: Callable) -> str:
    """Module and name of a function, as far as its pack tells them."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__qualname__} of {named.__module__}"
