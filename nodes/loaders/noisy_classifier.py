"""A classifier of noisy latents, for classifier guidance."""

from __future__ import annotations

from ..host.networks import NOISY_CLASSIFIER
from .guide_network import Row, loader_node

ROW = Row(
    node_id="EGLoadNoisyClassifier",
    title="Noisy",
    kind=NOISY_CLASSIFIER,
    description=(
        "Loads a classifier that was trained on noisy latents of your model, so that guidance can "
        "ask for one of its classes without a backward pass through the model."
    ),
    search_aliases=("classifier guidance", "noise-aware classifier", "adm"),
    architecture="timm name of the network, such as resnet18 or convnext_atto.",
    serves="Energy: Noisy Label",
)
LoadNoisyClassifier = loader_node(ROW, __name__)
