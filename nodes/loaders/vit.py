"""A vision transformer, whose features tell structure from appearance."""

from __future__ import annotations

from ..host.networks import VIT
from .guide_network import Row, loader_node

ROW = Row(
    node_id="EGLoadViT",
    title="ViT",
    kind=VIT,
    description=(
        "Loads a vision transformer such as DINO: its keys hold the structure of an image, its "
        "class token the appearance."
    ),
    search_aliases=("dino", "dinov2", "vision transformer"),
    architecture=(
        "timm name of the network, such as vit_base_patch8_224 (DINO) or vit_small_patch14_dinov2."
    ),
    serves="Energy: Structure, Energy: Style and Energy: Image",
)
LoadViT = loader_node(ROW, __name__)
