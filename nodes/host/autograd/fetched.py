"""Differentiable layers that save no weight and fetch it again in the backward pass.

Where the host casts, offloads, quantises or patches a weight on the fly, the tensor that a layer
multiplies with lives in a buffer that is reused for the next layer.  Saving it would keep the whole
model alive in the graph at best, and give silently wrong gradients at worst.  Linear and
convolution layers are linear in their input, so the backward pass needs nothing but the weight,
which the host hands out a second time.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import comfy.ops
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

_OFFLOADABLE = "offloadable" in inspect.signature(comfy.ops.cast_bias_weight).parameters


def fetch(
    module: nn.Module, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor | None, Any]:
    """Return (weight, bias, ticket) of a host layer, cast to dtype on device; see give_back."""
    if hasattr(module, "cast_bias_weight"):  # GGUF layers bring their own
        weight, bias = module.cast_bias_weight(dtype=dtype, device=device)[:2]
        return weight, bias, None
    options = {"offloadable": True} if _OFFLOADABLE else {}
    weight, bias, *ticket = comfy.ops.cast_bias_weight(
        module, dtype=dtype, device=device, bias_dtype=dtype, **options
    )
    if hasattr(weight, "dequantize") and type(weight) not in (Tensor, nn.Parameter):
        weight = weight.dequantize().to(dtype)
    scale = getattr(module, "scale_weight", None)
    if scale is not None:
        weight = weight * scale.to(device=device, dtype=dtype)
    return weight, bias, ticket[0] if ticket else None


def give_back(module: nn.Module, weight: Tensor, bias: Tensor | None, ticket: Any) -> None:
    """Tell the host that a fetched weight is no longer read."""
    if ticket is not None:
        comfy.ops.uncast_bias_weight(module, weight, bias, ticket)


def _linear_backward(module: nn.Module, grad: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
    return grad.matmul(weight)


def _conv_backward(module: _ConvNd, grad: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
    like, transposed = grad.new_empty(1).expand(shape), isinstance(module, _ConvTransposeNd)
    reach = (module.stride, module.padding, module.dilation)
    rest = (*reach, transposed, module.output_padding, module.groups, (True, False, False))
    return torch.ops.aten.convolution_backward(grad, like, weight, None, *rest)[0]


class _Fetched(torch.autograd.Function):
    """The layer's own forward without a graph; backward fetches the weight again."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, module: nn.Module, forward: Callable, backward: Callable
    ) -> Tensor:
        ctx.module, ctx.backward_of, ctx.shape, ctx.dtype = module, backward, x.shape, x.dtype
        # Flux adds to it in place, which autograd forbids for a view that was made in here: a
        # linear layer gives one of its matrix product. Nobody else holds that.
        return forward(x.detach()).data

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None, None]:
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        weight, bias, ticket = fetch(ctx.module, grad.dtype, grad.device)
        result = ctx.backward_of(ctx.module, grad.contiguous(), weight, ctx.shape)
        give_back(ctx.module, weight, bias, ticket)
        return result.to(ctx.dtype), None, None, None


def _norm_forward(module: nn.Module, x: Tensor) -> Tensor:
    """Run a normalisation layer on clones of its fetched weights: small enough to save."""
    with torch.no_grad():
        weight, bias, ticket = fetch(module, x.dtype, x.device)
        copies = [None if t is None else t.clone() for t in (weight, bias)]
        give_back(module, weight, bias, ticket)
    if isinstance(module, nn.GroupNorm):
        return nn.functional.group_norm(x, module.num_groups, *copies, module.eps)
    if isinstance(module, nn.LayerNorm):
        return nn.functional.layer_norm(x, module.normalized_shape, *copies, module.eps)
    return nn.functional.rms_norm(x, module.normalized_shape, copies[0], module.eps)


def _is_fetched(module: nn.Module) -> bool:
    """Whether the host makes the weight of this layer on the fly."""
    own = isinstance(module, comfy.ops.CastWeightBiasOp)
    if not own or getattr(module, "weight", None) is None:
        return False
    patched = len(module.weight_function) + len(module.bias_function) > 0
    special = hasattr(module, "_v") or hasattr(module, "layout_type")
    return module.comfy_cast_weights or patched or special


def place_of_forward(module: nn.Module) -> tuple[dict[str, Any], str] | None:
    """Return the table and the name under which a layer's own forward is found.

    The host's LoRA bypass puts a method of its own on the layer and keeps the layer's. None where
    something else replaces it.
    """
    table, name = vars(module), "forward"
    while name in table:
        owner = getattr(table[name], "__self__", None)
        if owner is module:
            break
        if not hasattr(owner, "original_forward"):
            return None
        table, name = vars(owner), "original_forward"
    return table, name


def fetched_forward(
    module: nn.Module, table: dict[str, Any] | None = None, name: str = "forward"
) -> Callable[[Tensor], Tensor] | None:
    """Return a differentiable forward for a layer whose weight is made on the fly, else None.

    Embeddings need none: they are not differentiated with respect to their input.

    Arguments:
        module: the layer.
        table: where its own forward is found; None is on the layer.
        name: its name there.
    """
    if not _is_fetched(module):
        return None
    if isinstance(module, (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)):
        return functools.partial(_norm_forward, module)
    forward = (table or {}).get(name, module.forward)
    if isinstance(module, _ConvNd):
        simple = module.padding_mode == "zeros" and not isinstance(module.padding, str)
        return _through(module, forward, _conv_backward) if simple else None
    return _through(module, forward, _linear_backward) if hasattr(module, "in_features") else None


def _through(module: nn.Module, forward: Callable, backward: Callable) -> Callable[..., Tensor]:
    def run(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if args or kwargs:
            return forward(x, *args, **kwargs)
        # Where x is not differentiated, as in the embedding of the time, no weight is saved either.
        return _Fetched.apply(x, module, forward, backward)

    return run
