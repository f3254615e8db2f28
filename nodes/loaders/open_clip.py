"""A CLIP network, for energies that compare images with words."""

from __future__ import annotations

from ..host.networks import OPEN_CLIP
from .guide_network import Row, loader_node

ROW = Row(
    node_id="EGLoadOpenCLIP",
    title="OpenCLIP",
    kind=OPEN_CLIP,
    description="Loads an open_clip network, which tells how well an image fits a sentence.",
    search_aliases=("clip guidance", "open_clip"),
    architecture="open_clip name of the network, such as ViT-B-32 or RN50.",
    serves="Energy: CLIP Text, Energy: CLIP Image and Energy: Aesthetic",
)
LoadOpenCLIP = loader_node(ROW, __name__)
