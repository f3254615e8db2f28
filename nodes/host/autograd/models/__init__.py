"""What single models need to be differentiated: one file each, found by the network's class."""

from __future__ import annotations

import contextlib
from typing import Any

from torch import nn

from . import hidream_o1

ANSWERS = (hidream_o1,)


def prepared(network: nn.Module) -> contextlib.AbstractContextManager[Any]:
    """What lasts while a network computes with a graph."""
    for answer in ANSWERS:
        if type(network).__name__ == answer.NETWORK:
            return answer.prepared(network)
    return contextlib.nullcontext()
