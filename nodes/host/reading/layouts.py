"""Which layers of a diffusion network can be read, and what their names are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from comfy.ldm.flux.layers import DoubleStreamBlock
from comfy.ldm.flux.model import Flux
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.mmdit import JointBlock, MMDiT
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import Tensor, nn

from ....guidance_core.captures import Attention, Capture, chosen_layers

# Attend-and-Excite's 16 x 16 layers of Stable Diffusion 1 and 2 at 512 pixels, and those that
# Self-Guidance read in SDXL.
SD_LAYERS = ("input.7.0", "input.8.0", "output.3.0", "output.4.0", "output.5.0")
SDXL_LAYERS = ("output.1.1", "output.1.2", "output.1.3")
# Of Shapes, whose colours fill their objects there from the first steps on (bench/editing).
SHAPES_LAYERS = ("output.2.0",)
# Activations that tell the colours of Shapes apart: both of its finest blocks do so better than
# either, and the last one alone tells little but the noise.
SHAPES_FEATURES = ("output.2", "output.3")


@dataclass(frozen=True, eq=False)
class Layout:
    """What can be read in a network.

    Arguments:
        attention: blocks that hold a layer's attention, by name, in the order they run.
        features: modules whose output is a layer's activation, by name.
        default: layers of attention that "default" stands for.
        default_features: layers of activations that "default" stands for.
        patch: side of a token in latent pixels, for transformers of joint attention; else None.
    """

    attention: dict[str, nn.Module]
    features: dict[str, nn.Module]
    default: tuple[str, ...]
    default_features: tuple[str, ...]
    patch: int | None = None

    def layers(self, request: Capture) -> tuple[str, ...]:
        """Names of the layers that a request means."""
        if isinstance(request, Attention):
            return chosen_layers(request.layers, self.default, tuple(self.attention))
        return chosen_layers(request.layers, self.default_features, tuple(self.features))


def layout(network: nn.Module) -> Layout:
    """Return what can be read in a diffusion network.

    Raises:
        ValueError: it is neither a U-Net nor a transformer whose joint attention is known.
    """
    if isinstance(network, UNetModel):
        return _unet(network)
    if isinstance(network, Flux):
        double = {f"double.{i}": block for i, block in enumerate(network.double_blocks)}
        single = {f"single.{i}": block for i, block in enumerate(network.single_blocks)}
        return _joint({**double, **single}, tuple(double), network.patch_size)
    if isinstance(network, MMDiT):
        blocks = {f"joint.{i}": block for i, block in enumerate(network.joint_blocks)}
        return _joint(blocks, tuple(blocks), network.patch_size)
    raise ValueError(
        f"attention and features of {type(network).__name__} cannot be read: this works with "
        "U-Nets (SD 1.x, 2.x, SDXL), SD3 and Flux; use energies of the latent or of the picture"
    )


def _unet(network: UNetModel) -> Layout:
    attention: dict[str, nn.Module] = {}
    features: dict[str, nn.Module] = {}
    groups = {
        "input": network.input_blocks,
        "middle": [network.middle_block],
        "output": network.output_blocks,
    }
    for kind, blocks in groups.items():
        for i, block in enumerate(blocks):
            # The host runs a block's layers one by one, never the block itself.
            features[f"{kind}.{i}"] = block[-1]
            for layer in (layer for layer in block if isinstance(layer, SpatialTransformer)):
                for j, part in enumerate(layer.transformer_blocks):
                    if part.attn2 is not None:
                        attention[f"{kind}.{i}.{j}"] = part
    choices = (SDXL_LAYERS, SD_LAYERS, SHAPES_LAYERS)
    known = [names for names in choices if all(name in attention for name in names)]
    decoder = tuple(name for name in attention if name.startswith("output"))
    default = known[0] if known else decoder or tuple(attention)
    looks = SHAPES_FEATURES if default == SHAPES_LAYERS else tuple(features)[-1:]
    return Layout(attention, features, default, looks)


def _joint(blocks: dict[str, nn.Module], usual: tuple[str, ...], patch: int) -> Layout:
    """Blocks of joint attention; by default the middle third, where words find their places."""
    third = len(usual) // 3
    middle = usual[third : len(usual) - third]
    return Layout(blocks, blocks, middle, middle[-1:], patch)


def picture_stream(block: nn.Module, out: Any, text: int) -> Tensor:
    """Return the tokens of the pictures, (B, N, C), in what a block of joint attention gives.

    Arguments:
        block: the block.
        out: what it gave.
        text: tokens of text, which stand first where both are in one sequence.
    """
    if isinstance(block, DoubleStreamBlock):
        return out[0]
    return out[1] if isinstance(block, JointBlock) else out[:, text:]
