"""An image classifier, for energies that ask for a class."""

from __future__ import annotations

from ..host.networks import CLASSIFIER
from .guide_network import Row, loader_node

ROW = Row(
    node_id="EGLoadClassifier",
    title="Classifier",
    kind=CLASSIFIER,
    description="Loads an image classifier, so that guidance can ask for one of its classes.",
    search_aliases=("classifier guidance", "timm"),
    architecture="timm name of the network, such as resnet50 or vit_base_patch16_224.",
    serves="Energy: Classifier",
)
LoadClassifier = loader_node(ROW, __name__)
