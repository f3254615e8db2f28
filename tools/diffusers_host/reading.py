"""Attention maps and features of diffusers' U-Net, for the energies that read them.

Layers have the names that they have in ComfyUI, so that settings are those of the nodes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from guidance_core.attention.weights import attention_maps, heads_of
from guidance_core.captures import Capture, Features, chosen_layers

# What "default" means in nodes/host/reading/layouts/unet.py: for Stable Diffusion 1, for Shapes.
DEFAULTS = (
    ("input.7.0", "input.8.0", "output.3.0", "output.4.0", "output.5.0"),
    ("output.2.0",),
)
FEATURES = ("output.2", "output.3")

Read = dict[Capture, tuple[Tensor, ...]]


def layers(unet: UNet2DConditionModel) -> dict[str, nn.Module]:
    """Transformers of the U-Net by the names of ComfyUI's blocks, in the order they run."""
    span = unet.config.layers_per_block + 1  # blocks of a level, with the one that scales
    found: dict[str, nn.Module] = {}
    for i, block in enumerate(unet.down_blocks):
        for j, attention in enumerate(getattr(block, "attentions", ())):
            found[f"input.{1 + i * span + j}"] = attention
    found["middle.0"] = unet.mid_block.attentions[0]
    for i, block in enumerate(unet.up_blocks):
        for j, attention in enumerate(getattr(block, "attentions", ())):
            found[f"output.{i * span + j}"] = attention
    return found


def layer_names(request: Capture, there: tuple[str, ...]) -> tuple[str, ...]:
    """Layers that a request means, in the order they run; `there` names all transformers.

    Raises:
        ValueError: the U-Net has no such layer.
    """
    if isinstance(request, Features):
        return chosen_layers(request.layers, FEATURES, there)
    deep = tuple(f"{name}.0" for name in there)
    default = next(known for known in DEFAULTS if set(known) <= set(deep))
    return chosen_layers(request.layers, default, deep)


@contextlib.contextmanager
def reading(unet: UNet2DConditionModel, requests: Iterable[Capture]) -> Iterator[Read]:
    """Read what one evaluation of the U-Net inside shows; the result is filled when it ends."""
    read: Read = {}
    found: dict[Capture, dict[str, Tensor]] = {request: {} for request in requests}
    with contextlib.ExitStack() as stack:
        modules = layers(unet) if found else {}
        for request, values in found.items():
            for name in layer_names(request, tuple(modules)):
                module = modules[name.removesuffix(".0")]
                for handle in _hooks(request, module, partial(values.__setitem__, name)):
                    stack.callback(handle.remove)
        yield read
    read |= {request: tuple(values.values()) for request, values in found.items()}


def _hooks(request: Capture, module: Any, note: Callable[[Tensor], None]) -> Iterator[Any]:
    if isinstance(request, Features):
        yield module.register_forward_hook(lambda module, args, out: note(out[0]))
        return
    attention = module.transformer_blocks[0].attn2
    seen: dict[str, Any] = {}

    def on_keys(layer: nn.Module, args: Any, keys: Tensor) -> None:
        positions = request.positions or tuple(range(keys.shape[1]))
        q, k = (heads_of(part, attention.heads) for part in (seen["queries"], keys))
        maps = attention_maps(q, k, positions, heads=request.heads)
        note(maps.unflatten(-1, seen["side"]))

    side = lambda module, args: seen.update(side=args[0].shape[-2:])
    yield module.register_forward_pre_hook(side)
    yield attention.to_q.register_forward_hook(lambda layer, args, out: seen.update(queries=out))
    yield attention.to_k.register_forward_hook(on_keys)
