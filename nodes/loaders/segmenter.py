"""A segmentation network, for energies that ask what lies where."""

from __future__ import annotations

from ..host.networks import SEGMENTER
from .guide_network import Row, loader_node

ROW = Row(
    node_id="EGLoadSegmenter",
    title="Segmenter",
    kind=SEGMENTER,
    description="Loads a segmentation network, so that guidance can ask what lies where.",
    search_aliases=("segmentation guidance", "torchvision"),
    architecture=(
        "torchvision name of the network: lraspp_mobilenet_v3_large, deeplabv3_resnet50, "
        "fcn_resnet50, ..."
    ),
    serves="Energy: Segmentation",
)
LoadSegmenter = loader_node(ROW, __name__)
