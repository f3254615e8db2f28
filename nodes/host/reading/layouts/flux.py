"""Flux and its kin: blocks of two streams, then of one, all of joint attention."""

from __future__ import annotations

from torch import nn

from ..layout import Layout
from ..tokens import Given, Tokens, behind_text, last
from .transformer import Transformer, family_of

NAMES = "FLUX.1, FLUX.2, Chroma, LongCat-Image, HunyuanVideo, HunyuanImage"
BLOCKS = {"double": "double_blocks", "single": "single_blocks"}


def layout_of(network: nn.Module) -> Layout | None:
    """Return what can be read in a network of this group; None for other networks."""
    family = family_of(network, FAMILIES)
    if family is HUNYUAN:
        family = _hunyuan_of(network)
    return None if family is None else family.layout(network)


def _hunyuan_of(network: nn.Module) -> Transformer:
    """HunyuanVideo, as this version of it and of the host orders its tokens."""
    if getattr(network.double_blocks[0], "flipped_img_txt", False):
        return Transformer(BLOCKS, "patch_size", IMAGE_FIRST)
    typed = getattr(network, "cond_type_embedding", None) is not None
    return Transformer(BLOCKS, "patch_size", BEHIND_GLYPHS) if typed else HUNYUAN


def _seen(given: Given, length: int, count: int) -> int:
    """Behind what a vision model saw."""
    return given.length("clip_fea")


def _glyphs(given: Given, length: int, count: int) -> int:
    """Behind what a vision model saw, and ByT5's text."""
    return given.length("clip_fea") + given.length("txt_byt5")


def _texts(given: Given) -> int:
    return given.length("context") + given.length("txt_byt5")


# Another image may stand before the image, and ByT5's text behind the prompt.
BEHIND_SEEN = Tokens(image=last, text=_seen, in_stream=last)
BEHIND_GLYPHS = Tokens(image=last, text=_glyphs, in_stream=last)
IMAGE_FIRST = Tokens(
    image=lambda given, length, count: length - _texts(given) - count,
    text=lambda given, length, count: length - _texts(given),
    in_stream=last,
)
# The prompt, the image, then other images.
FLUX = Transformer(BLOCKS, "patch_size", Tokens(image=behind_text))
HUNYUAN = Transformer(BLOCKS, "patch_size", BEHIND_SEEN)
FAMILIES = {
    "comfy.ldm.flux.model.Flux": FLUX,
    "comfy.ldm.chroma.model.Chroma": FLUX,
    "comfy.ldm.hunyuan_video.model.HunyuanVideo": HUNYUAN,
}
