"""Transformers whose text and image tokens attend to each other jointly: Flux and SD3."""

from __future__ import annotations

from functools import partial
from typing import Any

from comfy.ldm.flux.layers import DoubleStreamBlock
from comfy.ldm.flux.model import Flux
from comfy.ldm.modules.diffusionmodules.mmdit import JointBlock, MMDiT
from torch import Tensor, nn

from ..joint_reader import JointReader
from ..layout import Layout

FAMILIES = "SD3, Flux"


def layout_of(network: nn.Module) -> Layout | None:
    """Return what can be read in a transformer of joint attention; None for other networks."""
    if isinstance(network, Flux):
        double = {f"double.{i}": block for i, block in enumerate(network.double_blocks)}
        single = {f"single.{i}": block for i, block in enumerate(network.single_blocks)}
        return _joint({**double, **single}, tuple(double), network.patch_size)
    if isinstance(network, MMDiT):
        blocks = {f"joint.{i}": block for i, block in enumerate(network.joint_blocks)}
        return _joint(blocks, tuple(blocks), network.patch_size)
    return None


def _joint(blocks: dict[str, nn.Module], usual: tuple[str, ...], patch: int) -> Layout:
    """Blocks of joint attention; by default the middle third, where words find their places."""
    third = len(usual) // 3
    middle = usual[third : len(usual) - third]
    reader = partial(JointReader, patch=patch, image_tokens=image_tokens)
    return Layout(blocks, blocks, middle, middle[-1:], reader)


def image_tokens(block: nn.Module, output: Any, text: int) -> Tensor:
    """Return the image tokens (B, N, C) in the output of a block.

    Arguments:
        block: the block.
        output: what it returned.
        text: number of text tokens, which stand first where both are in one sequence.
    """
    if isinstance(block, DoubleStreamBlock):
        return output[0]
    return output[1] if isinstance(block, JointBlock) else output[:, text:]
