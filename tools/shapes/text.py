"""Captions to CLIP tokens, padded as Stable Diffusion pads them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from open_clip import SimpleTokenizer
from torch import Tensor

START, END, LENGTH = 49406, 49407, 77
_bpe = SimpleTokenizer()


def tokens(captions: Sequence[str]) -> Tensor:
    """Token ids (B, 77): start, the words, then end tokens to the end."""
    rows = [[START, *_bpe.encode(caption)][: LENGTH - 1] for caption in captions]
    return torch.tensor([row + [END] * (LENGTH - len(row)) for row in rows])
