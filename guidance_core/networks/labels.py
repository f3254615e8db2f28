"""Names of networks and of their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches

import torch.nn.functional as F
from torch import Tensor

LISTED = 40  # labels that an error shows


def name_of(network: object) -> str:
    """The name of a network in messages."""
    return str(getattr(network, "name", type(network).__name__))


def index_of(label: str, labels: Sequence[str], network: object) -> int:
    """The number of a label.

    Raises:
        ValueError: the network does not know it; the message shows those it knows, near ones first.
    """
    if label not in labels:
        raise ValueError(unknown(label, labels, name_of(network)))
    return list(labels).index(label)


def shortfall(logits: Tensor, index: int, confidence: float, *, multi_label: bool) -> Tensor:
    """How far a label's probability is below `confidence`, in nats, >= 0, shape (B,).

    Arguments:
        logits: shape (B, K).
        index: of the label.
        confidence: in (0, 1]; at 1 it is -log of the probability.
        multi_label: one sigmoid for each label, in place of a softmax over all.
    """
    own = logits[:, index]
    loss = F.softplus(-own) if multi_label else logits.logsumexp(1) - own
    return F.relu(loss + math.log(confidence))


def unknown(label: str, labels: Sequence[str], name: str) -> str:
    """What to say of a label that is not among those of a network; near ones come first."""
    near = get_close_matches(label, labels, n=5, cutoff=0.4)
    listed = [*near, *(other for other in labels if other not in near)][:LISTED]
    more = ", ..." if len(labels) > LISTED else ""
    return (
        f"{name} has no label '{label}' among its {len(labels)}; "
        f"try one of: {', '.join(listed)}{more}"
    )
