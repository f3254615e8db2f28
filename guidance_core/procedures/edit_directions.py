"""Edit directions: what the text encoder thinks changes when one word is put for another.

References:
    Zero-shot Image-to-Image Translation (Pix2Pix-Zero), Parmar et al. 2023, arXiv:2302.03027,
    section 3.2: the mean over sentences of one word, less that of the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def mean_states(sentences: Sequence[Tensor]) -> Tensor:
    """Mean of text states, position by position, shape (1, T, D).

    A position counts every sentence that reaches it; a text encoder pads short sentences, and the
    states of the padding count too, as in the paper.

    Arguments:
        sentences: states of one sentence each, shape (1, T_i, D).

    Raises:
        ValueError: there are no sentences.
    """
    if not sentences:
        raise ValueError("an edit direction needs at least one sentence on either side, got none")
    longest = max(states.shape[1] for states in sentences)
    total = sentences[0].new_zeros(1, longest, sentences[0].shape[2])
    count = total.new_zeros(1, longest, 1)
    for states in sentences:
        total[:, : states.shape[1]] += states
        count[:, : states.shape[1]] += 1
    return total / count


def edit_direction(source: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Mean states of the target less those of the source, at positions both have: (1, T, D)."""
    there, wanted = mean_states(source), mean_states(target)
    length = min(there.shape[1], wanted.shape[1])
    return wanted[:, :length] - there[:, :length]


def move_states(states: Tensor, direction: Tensor, strength: float) -> Tensor:
    """States (B, T, D) plus a direction (1, T', D); positions beyond it stay as they are."""
    length = min(states.shape[1], direction.shape[1])
    padded = torch.zeros_like(states)
    padded[:, :length] = direction[:, :length].to(states)
    return states + strength * padded
