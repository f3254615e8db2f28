"""Which places of one prompt's context stand for which of another's: Prompt-to-Prompt's mappers.

References:
    Prompt-to-Prompt Image Editing with Cross Attention Control, Hertz et al. 2022,
    arXiv:2208.01626, section 3.2 and its code.
    Deviates: words are aligned, not tokens; what stands between them (commas, start and end tokens,
    padding) is paired too, so that attention to the end token of one prompt becomes attention to
    that of the other where their lengths differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import torch
from torch import Tensor

Pair = tuple[int, int]


@dataclass(frozen=True)
class Placed:
    """A word of a prompt and where its tokens stand in the context.

    Arguments:
        text: in lower case.
        places: rising, at least one.
    """

    text: str
    places: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Alignment:
    """How attention to a target prompt is made of attention to a source prompt.

    Arguments:
        source: what each place of the target takes of each place of the source, shape (S, T).
        share: how much of its attention a place of the target takes from there, shape (T,), in
            [0, 1]; the rest is its own.
        factor: what attention to each place of the target is multiplied with, shape (T,).
    """

    source: Tensor
    share: Tensor
    factor: Tensor

    def edited(self, source: Tensor, target: Tensor) -> Tensor:
        """Attention (..., N, T) made of that of the source (..., N, S) and of the target's own."""
        return self.weighted(self.aligned(source, target))

    def aligned(self, source: Tensor, target: Tensor) -> Tensor:
        """The same without the factors."""
        matrix, share = self.source.to(target), self.share.to(target)
        return source.to(target) @ matrix * share + target * (1 - share)

    def weighted(self, target: Tensor) -> Tensor:
        """Attention (..., N, T), multiplied with the factors alone."""
        return target * self.factor.to(target)


def replaced(
    source: Sequence[Placed], target: Sequence[Placed], lengths: Pair, factors: Mapping[int, float]
) -> Alignment:
    """Every word takes the attention of the word in its place.

    Arguments:
        source: words of the source prompt.
        target: words of the target prompt, as many.
        lengths: places of their contexts.
        factors: of places of the target, 1 where none is given.

    Raises:
        ValueError: the prompts are not of as many words.
    """
    if len(source) != len(target):
        raise ValueError(
            f"replace needs prompts of as many words, got {len(source)} ({_text(source)}) and "
            f"{len(target)} ({_text(target)}): choose refine, or write as many words"
        )
    pairs = [(i, i) for i in range(len(source))]
    return _alignment(source, target, pairs, lengths, factors)


def refined(
    source: Sequence[Placed], target: Sequence[Placed], lengths: Pair, factors: Mapping[int, float]
) -> Alignment:
    """Words of both prompts take the attention of the source, new words have their own.

    Arguments as in `replaced`, for prompts of any number of words.

    Raises:
        ValueError: the prompts have no word in common.
    """
    pairs = common(source, target)
    if not pairs:
        raise ValueError(
            f"refine needs prompts that share a word, got '{_text(source)}' and '{_text(target)}': "
            "write the target as a change of the source"
        )
    return _alignment(source, target, pairs, lengths, factors)


def one_behind_another(parts: Sequence[Alignment]) -> Alignment:
    """The alignment of a context of several texts, such as those of two encoders."""
    return Alignment(
        torch.block_diag(*(part.source for part in parts)),
        torch.cat([part.share for part in parts]),
        torch.cat([part.factor for part in parts]),
    )


def _text(words: Sequence[Placed]) -> str:
    return " ".join(word.text for word in words)


def common(source: Sequence[Placed], target: Sequence[Placed]) -> list[Pair]:
    """Indices of a longest common subsequence of words."""
    table = [[0] * (len(target) + 1) for _ in range(len(source) + 1)]
    for i in reversed(range(len(source))):
        for j in reversed(range(len(target))):
            same = source[i].text == target[j].text
            skipped = max(table[i + 1][j], table[i][j + 1])
            table[i][j] = table[i + 1][j + 1] + 1 if same else skipped
    return list(_walked(table, source, target))


def _walked(
    table: Sequence[Sequence[int]], source: Sequence[Placed], target: Sequence[Placed]
) -> Iterator[Pair]:
    i = j = 0
    while i < len(source) and j < len(target):
        if source[i].text == target[j].text:
            yield i, j
            i, j = i + 1, j + 1
        elif table[i + 1][j] >= table[i][j + 1]:
            i += 1
        else:
            j += 1


def _alignment(
    source: Sequence[Placed],
    target: Sequence[Placed],
    pairs: Sequence[Pair],
    lengths: Pair,
    factors: Mapping[int, float],
) -> Alignment:
    matrix, share, factor = torch.zeros(lengths), torch.zeros(lengths[1]), torch.ones(lengths[1])
    before, after = _gaps(source, lengths[0]), _gaps(target, lengths[1])
    words = [(source[i].places, target[j].places) for i, j in pairs]
    # What stands behind a word, where it is not the last one.
    inner = [
        (before[i + 1], after[j + 1])
        for i, j in pairs
        if i + 1 < len(source) and j + 1 < len(target)
    ]
    found = [_spread(*pair) for pair in (*words, *inner, (before[0], after[0]))]
    for row, column, value in chain(*found, _in_order(before[-1], after[-1])):
        matrix[row, column] += value
        share[column] = 1.0
    for place, value in factors.items():
        factor[place] = value
    return Alignment(matrix, share, factor)


def _gaps(words: Sequence[Placed], length: int) -> list[tuple[int, ...]]:
    """Places before the first word, between words, and behind the last one."""
    edges = [-1, *(edge for word in words for edge in (word.places[0], word.places[-1])), length]
    return [tuple(range(low + 1, high)) for low, high in list(pairwise(edges))[::2]]


def _spread(there: Sequence[int], here: Sequence[int]) -> Iterator[tuple[int, int, float]]:
    """Source place, target place and share: one to one, or all to all where they differ."""
    if len(there) == len(here):
        yield from ((row, column, 1.0) for row, column in zip(there, here, strict=True))
    else:
        yield from ((row, column, 1 / len(here)) for row in there for column in here)


def _in_order(there: Sequence[int], here: Sequence[int]) -> Iterator[tuple[int, int, float]]:
    """The same for end token and padding: what the source has more of goes to the last place."""
    if here:
        yield from ((row, here[min(i, len(here) - 1)], 1.0) for i, row in enumerate(there))
