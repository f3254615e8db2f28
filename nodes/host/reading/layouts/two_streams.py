"""Transformers whose blocks keep image and text apart, but for their joint attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..layout import Layout
from ..tokens import Given, Tokens, behind_image, behind_text, first
from .transformer import Transformer, family_of

NAMES = "SD3, AuraFlow, Qwen-Image, Mage-Flow, HiDream, Lens, JoyImage, Mochi, CogVideoX, PixelDiT"
# AuraFlow's, before its prompt.
REGISTERS = 8


def layout_of(network: nn.Module) -> Layout | None:
    """Return what can be read in a network of this group; None for other networks."""
    family = family_of(network, FAMILIES)
    return None if family is None else family.layout(network)


def _behind_registers(given: Given, length: int, count: int) -> int:
    return REGISTERS


def _behind_registers_and_text(given: Given, length: int, count: int) -> int:
    return REGISTERS + given.length("context")


def _left_of_reference(given: Given, length: int, count: int) -> int | Tensor:
    """HiDream-E1's image: the left of each row of tokens, whose right is an image of reference."""
    if given.arguments.get("image_cond") is None:
        return 0
    rows, row = _rows_of_tokens(given)
    places = torch.arange(rows * row, device=given.x.device).view(rows, row)
    return places[:, : count // rows].flatten()


def _behind_both(given: Given, length: int, count: int) -> int:
    rows, row = _rows_of_tokens(given)
    return rows * row


def _rows_of_tokens(given: Given) -> tuple[int, int]:
    """HiDream's rows, and how many tokens each has, those of a reference among them."""
    reference = given.arguments.get("image_cond")
    width = given.x.shape[-1] + (0 if reference is None else reference.shape[-1])
    return -(-given.x.shape[-2] // 2), -(-width // 2)


def _behind_kept_text(given: Given, length: int, count: int) -> int:
    """PixelDiT leaves out what is too long of a prompt."""
    return length - count


TEXT_FIRST = Tokens(image=behind_text, stream=1)
IMAGE_FIRST = Tokens(text=behind_image)
QWEN = Transformer({"double": "transformer_blocks"}, "patch_size", TEXT_FIRST)
FAMILIES = {
    "comfy.ldm.modules.diffusionmodules.mmdit.MMDiT": Transformer(
        {"joint": "joint_blocks"}, "patch_size", TEXT_FIRST
    ),
    "comfy.ldm.aura.mmdit.MMDiT": Transformer(
        {"double": "double_layers", "single": "single_layers"},
        "patch_size",
        Tokens(image=_behind_registers_and_text, text=_behind_registers, stream=1),
    ),
    "comfy.ldm.qwen_image.model.QwenImageTransformer2DModel": QWEN,
    "comfy.ldm.mage_flow.model.MageFlowTransformer2DModel": Transformer(
        {"double": "transformer_blocks"}, (1, 1), TEXT_FIRST
    ),
    # The image, with another beside it in E1, T5's text, then Llama's.
    "comfy.ldm.hidream.model.HiDreamImageTransformer2DModel": Transformer(
        {"double": "double_stream_blocks", "single": "single_stream_blocks"},
        "patch_size",
        Tokens(image=_left_of_reference, text=_behind_both, in_stream=_left_of_reference),
    ),
    "comfy.ldm.lens.model.LensTransformer2DModel": Transformer(
        {"double": "transformer_blocks"}, (1, 1), Tokens(text=behind_image, stream=1)
    ),
    # The image and other images, then the prompt.
    "comfy.ldm.joyimage.model.JoyImageTransformer3DModel": Transformer(
        {"double": "double_blocks"},
        "patch_size",
        Tokens(text=lambda given, length, count: length - given.length("context")),
    ),
    "comfy.ldm.genmo.joint_model.asymm_models_joint.AsymmDiTJoint": Transformer(
        {"joint": "blocks"}, "patch_size", IMAGE_FIRST
    ),
    "comfy.ldm.cogvideo.model.CogVideoXTransformer3DModel": Transformer(
        {"joint": "blocks"}, "patch_size", Tokens(image=behind_text)
    ),
    "comfy.ldm.pixeldit.model.PixDiT_T2I": Transformer(
        {"patch": "patch_blocks"}, "patch_size", Tokens(image=_behind_kept_text, text=first)
    ),
}
