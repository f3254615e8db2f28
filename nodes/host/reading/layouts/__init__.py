"""Which layers of a diffusion network can be read: one file per group of model families."""

from __future__ import annotations

from torch import nn

from ..layout import Layout
from . import joint, unet

GROUPS = (unet, joint)


def layout_of(network: nn.Module) -> Layout:
    """Return what can be read in a diffusion network.

    Raises:
        ValueError: no group knows this network.
    """
    for group in GROUPS:
        found = group.layout_of(network)
        if found is not None:
            return found
    families = ", ".join(group.FAMILIES for group in GROUPS)
    raise ValueError(
        f"expected a model whose attention and features can be read ({families}), got "
        f"{type(network).__name__}: use another model, or energies of the latent or of the image"
    )
