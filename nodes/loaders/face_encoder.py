"""A face recognition network, for the face of a reference."""

from __future__ import annotations

from ..host.networks import FACE_ENCODER
from .guide_network import Row, loader_node

ROW = Row(
    node_id="EGLoadFaceEncoder",
    title="Face",
    kind=FACE_ENCODER,
    description=(
        "Loads a network trained for face recognition, so that guidance can ask for the face of a "
        "reference."
    ),
    search_aliases=("arcface", "face recognition", "identity"),
    architecture=(
        "timm name of the network, such as vit_tiny_patch16_224 or resnet50; it gets faces of "
        "112x112 pixels."
    ),
    serves="Energy: Face Identity",
)
LoadFaceEncoder = loader_node(ROW, __name__)
