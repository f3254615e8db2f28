"""U-Nets with cross-attention: Stable Diffusion 1 and 2, SDXL, and the embedded model."""

from __future__ import annotations

from collections.abc import Iterator

from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import nn

from ..layout import Layout
from ..unet_reader import UNetReader

NAMES = "U-Nets such as SD 1.x, 2.x and SDXL"
# Attend-and-Excite's 16 x 16 layers of Stable Diffusion 1 and 2 at 512 pixels, and those that
# Self-Guidance read in SDXL.
SD_LAYERS = ("input.7.0", "input.8.0", "output.3.0", "output.4.0", "output.5.0")
SDXL_LAYERS = ("output.1.1", "output.1.2", "output.1.3")
# Of Shapes, whose colours fill their objects there from the first steps on (bench/editing).
SHAPES_LAYERS = ("output.2.0",)
# Activations that tell the colours of Shapes apart: both of its finest blocks do so better than
# either, and the last one alone tells little but the noise.
SHAPES_FEATURES = ("output.2", "output.3")
# The layer of Shapes that kept its layouts best of three (docs/strengths.md).
SHAPES_STRUCTURE = ("output.2",)


def layout_of(network: nn.Module) -> Layout | None:
    """Return what can be read in a U-Net; None for other networks."""
    if not isinstance(network, UNetModel):
        return None
    # The host runs a block's layers one by one, never the block itself.
    features = {name: block[-1] for name, block in blocks(network)}
    attention = {
        f"{name}.{i}": part
        for name, block in blocks(network)
        for layer in block
        if isinstance(layer, SpatialTransformer)
        for i, part in enumerate(layer.transformer_blocks)
        if part.attn2 is not None
    }
    default = _default_layers(tuple(attention))
    shapes = default == SHAPES_LAYERS
    last = SHAPES_FEATURES if shapes else tuple(features)[-1:]
    structure = SHAPES_STRUCTURE if shapes else _structure(tuple(features))
    return Layout(attention, features, default, last, UNetReader, structure=structure)


def _structure(features: tuple[str, ...]) -> tuple[str, ...]:
    """Plug-and-Play's layer of Stable Diffusion: the fifth of the decoder's twelve blocks."""
    decoder = [name for name in features if name.startswith("output")]
    return tuple(decoder[len(decoder) // 3 :][:1])


def blocks(network: UNetModel) -> Iterator[tuple[str, nn.Sequential]]:
    """Blocks of a U-Net in the order they run, by name."""
    yield from ((f"input.{i}", block) for i, block in enumerate(network.input_blocks))
    yield "middle.0", network.middle_block
    yield from ((f"output.{i}", block) for i, block in enumerate(network.output_blocks))


def _default_layers(there: tuple[str, ...]) -> tuple[str, ...]:
    for known in (SDXL_LAYERS, SD_LAYERS, SHAPES_LAYERS):
        if set(known) <= set(there):
            return known
    return tuple(name for name in there if name.startswith("output")) or there
