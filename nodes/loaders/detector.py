"""An object detector, for energies of boxes and faces."""

from __future__ import annotations

from ..host.networks import DETECTOR
from .guide_network import Row, loader_node

ROW = Row(
    node_id="EGLoadDetector",
    title="Detector",
    kind=DETECTOR,
    description=(
        "Loads an object detector, so that guidance can ask for objects in boxes, or find a face."
    ),
    search_aliases=("object detection", "faster r-cnn", "retinanet"),
    architecture=(
        "torchvision name of the network: fasterrcnn_resnet50_fpn_v2, "
        "fasterrcnn_mobilenet_v3_large_fpn, retinanet_resnet50_fpn, ..."
    ),
    serves="Energy: Detection and Energy: Face Identity",
)
LoadDetector = loader_node(ROW, __name__)
