"""Which layers of a diffusion network can be read: one file per group of model families."""

from __future__ import annotations

from torch import nn

from ..layout import Layout
from . import cross_attention, flux, one_stream, placeless, two_streams, unet

GROUPS = (unet, flux, two_streams, one_stream, cross_attention)


def layout_of(network: nn.Module) -> Layout:
    """Return what can be read in a diffusion network.

    Raises:
        ValueError: no group knows this network, or it is known that nothing can be read in it.
    """
    name, reason = type(network).__name__, placeless.reason(network)
    if reason is not None:
        raise ValueError(
            f"attention and features of {name} cannot be read, because {reason}: use energies of "
            "the latent or of the image"
        )
    for group in GROUPS:
        found = group.layout_of(network)
        if found is not None:
            return found
    families = ", ".join(group.NAMES for group in GROUPS)
    raise ValueError(
        f"expected a model whose attention and features can be read ({families}), got {name}: use "
        "another model, or energies of the latent or of the image"
    )
