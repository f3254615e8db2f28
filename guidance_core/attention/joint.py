"""Prompt-to-Prompt in transformers, where an image may attend to its text and to itself in one row.

Where a row is of the text alone, it is edited as published. In joint attention a row of an image's
place is edited in its columns: those of the text as in cross-attention, those of the image as in
self-attention. What a row gives to others (registers, other images) stays its own, and the row is
divided by its sum, so that it adds up to 1 as every attention does. Factors of words come last and
are not divided out: as published, they make a word count more, not the others less.

References:
    Prompt-to-Prompt Image Editing with Cross Attention Control, Hertz et al. 2022,
    arXiv:2208.01626, section 3.2.
    Exploring Multimodal Diffusion Transformers for Enhanced Prompt-based Image Editing, Shin et al.
    2025, arXiv:2508.07519, and its code: the four regions of joint attention, of which those of the
    image's queries are exchanged.
    Deviates: that code exchanges a region before the softmax, and place by place; here it is after
    it, since a word may stand for one of another number of tokens, which shares attention out.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .alignment import Alignment

# Places that follow each other, or each by its number, shape (N,).
Places = slice | Tensor


@dataclass(frozen=True, eq=False)
class Columns:
    """Where the keys of a row of joint attention stand.

    Arguments:
        text: places of the prompt.
        image: places of the image; None where the keys are the text's alone.
    """

    text: slice
    image: Places | None


def edited_rows(
    source: Tensor,
    target: Tensor,
    columns: tuple[Columns, Columns],
    alignment: Alignment | None,
    *,
    itself: bool,
) -> Tensor:
    """Rows of the target (..., N, T), edited by those of the source (..., N, S).

    Arguments:
        source: attention of the same places of the source's image.
        target: attention of the target's image.
        columns: of the source and of the target.
        alignment: how attention to the target's text is made; None leaves it.
        itself: whether the image attends to itself as the source's does.
    """
    there, here = columns
    rows = target.clone()
    if itself:
        rows[..., here.image] = source[..., there.image].to(rows)
    if alignment is not None:
        rows[..., here.text] = alignment.aligned(source[..., there.text], target[..., here.text])
    if here.image is not None:
        rows = rows / rows.sum(-1, keepdim=True)
    if alignment is not None:
        # Not in place: the division above keeps its result for the gradient.
        factors = rows.new_ones(rows.shape[-1])
        factors[here.text] = alignment.factor.to(rows)
        rows = rows * factors
    return rows
