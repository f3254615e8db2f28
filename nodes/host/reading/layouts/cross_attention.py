"""Transformers of an image or a video that looks at the text by cross-attention."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from torch import nn

from ..layout import Layout
from ..tokens import Given, Tokens
from .transformer import Transformer, family_of

NAMES = "Wan, LTX-Video, Cosmos, Anima, PixArt, HunyuanDiT, Kandinsky 5"


def layout_of(network: nn.Module) -> Layout | None:
    """Return what can be read in a network of this group; None for other networks."""
    family = family_of(network, FAMILIES)
    return None if family is None else family.layout(network)


def _call(module: nn.Module) -> int:
    """Wan's models that see an image attend to it first."""
    return int(hasattr(module, "k_img"))


def _behind_reference(given: Given, length: int, count: int) -> int:
    """Wan's image: behind images of reference, before others."""
    reference = given.arguments.get("reference_latent")
    if reference is None or length == count:
        return 0
    height, width = (-(-side // 2) for side in reference.shape[-2:])
    return height * width * (reference.shape[2] if reference.ndim == 5 else 1)


CROSS = Tokens(joint=False)
WAN = {"cross": "blocks"}, "patch_size"
WAN_PARTS = attrgetter("cross_attn"), attrgetter("self_attn")
BEFORE_REFERENCE = Transformer(*WAN, Tokens(joint=False, call=_call), *WAN_PARTS)
FAMILIES: dict[str, Any] = {
    "comfy.ldm.wan.model.HumoWanModel": BEFORE_REFERENCE,
    "comfy.ldm.wan.model.WanModel_S2V": BEFORE_REFERENCE,
    "comfy.ldm.wan.model.WanModel": Transformer(
        *WAN, Tokens(image=_behind_reference, joint=False, call=_call), *WAN_PARTS
    ),
    "comfy.ldm.lightricks.model.LTXVModel": Transformer(
        *({"cross": "transformer_blocks"}, (1, 1), CROSS),
        *(attrgetter("attn2"), attrgetter("attn1")),
    ),
    "comfy.ldm.cosmos.predict2.MiniTrainDIT": Transformer(
        *({"cross": "blocks"}, "patch_spatial", CROSS),
        *(attrgetter("cross_attn"), attrgetter("self_attn")),
    ),
    "comfy.ldm.cosmos.model.GeneralDIT": Transformer(
        *({"cross": "blocks"}, "patch_spatial", Tokens(joint=False, batch=3)),
        *(lambda block: block.blocks[1].block.attn, lambda block: block.blocks[0].block.attn),
    ),
    "comfy.ldm.pixart.pixartms.PixArtMS": Transformer(
        *({"cross": "blocks"}, "patch_size", CROSS),
        *(attrgetter("cross_attn"), attrgetter("attn")),
    ),
    "comfy.ldm.hydit.models.HunYuanDiT": Transformer(
        *({"cross": "blocks"}, "patch_size", CROSS),
        *(attrgetter("attn2"), attrgetter("attn1")),
    ),
    "comfy.ldm.kandinsky5.model.Kandinsky5": Transformer(
        *({"cross": "visual_transformer_blocks"}, "patch_size", CROSS),
        *(attrgetter("cross_attention"), attrgetter("self_attention")),
    ),
}
