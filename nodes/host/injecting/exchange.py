"""How a network's inside is exchanged, and in which networks it cannot be."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ..autograd.kernels import as_written
from ..reading.layouts import layout_of
from ..reading.layouts.unet import blocks
from .transformer import TransformerExchange
from .unet import UNetExchange, residual


def exchange_of(
    network: nn.Module, features: Sequence[str] = ()
) -> UNetExchange | TransformerExchange:
    """What takes from a network's evaluations, and puts into others.

    Arguments:
        network: the host's diffusion network.
        features: blocks whose features are exchanged.
    """
    layout = layout_of(network)
    if layout.laid is not None:
        return TransformerExchange(network, layout)
    there = dict(blocks(as_written(network)))
    return UNetExchange(layout.attention, {name: residual(there[name]) for name in features})


def check_exchange(network: nn.Module, what: str) -> None:
    """Refuse a network whose image does not attend to a text.

    Raises:
        ValueError: another kind of network; the message names it, and says why.
    """
    name, layout = type(as_written(network)).__name__, layout_of(network)
    if not layout.attention:
        raise ValueError(
            f"{what} exchanges attention to a prompt, and {name} attends to none: use Keep "
            "Features, which can guide it"
        )
