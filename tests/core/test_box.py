"""The box that words keep to, against BoxDiff's formula and cells counted by hand."""

from __future__ import annotations

import pytest
import torch

from guidance_core.attention import maps
from guidance_core.attention.words import Word
from guidance_core.captures import Attention
from guidance_core.energies.box import Box
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, levels, seeded

WORD = (Word("circle", (1,)),)
HEIGHT, WIDTH = 8, 10
# Box, its rows, its columns, and the rows and columns within one cell of its edges, counted as
# BoxDiff counts them: from the first cell inside, and from the first behind it.
BOXES = [
    ((0.2, 0.25, 0.7, 0.5), range(2, 4), range(2, 7), (1, 2, 3, 4, 5), (1, 2, 3, 6, 7, 8)),
    ((0.0, 0.125, 0.4, 1.0), range(1, 8), range(4), (0, 1, 2, 7), (0, 1, 3, 4, 5)),
    ((0.5, 0.0, 1.0, 0.625), range(5), range(5, 10), (0, 1, 4, 5, 6), (4, 5, 6, 9)),
    ((0.3, 0.5, 0.4, 0.625), range(4, 5), range(3, 4), (3, 4, 5, 6), (2, 3, 4, 5)),
]
EACH = pytest.mark.parametrize(("box", "rows", "columns", "tall", "wide"), BOXES)


def context(batch: int = 2) -> torch.Tensor:
    """Attention to five places of a prompt, the words of which compete."""
    return 0.05 * seeded(batch, 5, HEIGHT, WIDTH, seed=21)


def seen(attention: torch.Tensor, request: Attention) -> Estimate:
    return Estimate(attention, levels(1.0, len(attention)), captures={request: (attention,)})


def strongest(values: list[float]) -> float:
    """Mean of the strongest fifth, P = 0.2 in the paper, rounded down to at least one cell."""
    count = max(1, len(values) // 5)
    return sum(sorted(values)[-count:]) / count


def boxdiff(share, rows, columns, tall, wide) -> float:
    """Inner, outer and corner losses of one map, cell by cell: BoxDiff eqs. (3)-(6)."""
    cells = [(i, j) for i in range(HEIGHT) for j in range(WIDTH)]
    inside = [share[i][j] for i, j in cells if i in rows and j in columns]
    outside = [share[i][j] for i, j in cells if not (i in rows and j in columns)]
    across = [abs(max(share[i][j] for i in range(HEIGHT)) - (j in columns)) for j in wide]
    down = [abs(max(share[i][j] for j in range(WIDTH)) - (i in rows)) for i in tall]
    corners = sum(across) / WIDTH + sum(down) / HEIGHT
    return 1 - strongest(inside) + strongest(outside) + corners


@EACH
def test_boxdiff_is_the_published_sum_of_three_losses(box, rows, columns, tall, wide):
    attention = context()
    shares = maps.across_text(attention)[:, 1].tolist()
    expected = [boxdiff(share, rows, columns, tall, wide) for share in shares]
    energy = Box(WORD, box, "boxdiff")(seen(attention, Attention()))
    assert_close(energy, torch.tensor(expected, dtype=DOUBLE))


def test_boxdiff_is_the_mean_over_the_words():
    words = Word("red", (2, 3)), WORD[0]
    box, *rest = BOXES[0]
    shares = maps.across_text(context())
    parts = [
        [boxdiff(share, *rest) for share in shares[:, list(word.positions)].mean(1).tolist()]
        for word in words
    ]
    energy = Box(words, box, "boxdiff")(seen(context(), Attention()))
    assert_close(energy, torch.tensor(parts, dtype=DOUBLE).mean(0))


@EACH
def test_layout_is_the_published_square_of_what_lies_outside(box, rows, columns, tall, wide):
    attention = context().sigmoid()
    energy = Box((Word("red", (0,)), WORD[0]), box)
    inside = torch.zeros(HEIGHT, WIDTH, dtype=DOUBLE)
    inside[rows.start : rows.stop, columns.start : columns.stop] = 1
    shares = (attention * inside).sum((2, 3)) / attention.sum((2, 3))
    expected = (1 - shares[:, :2]).square().mean(1)
    assert_close(energy(seen(attention, Attention((0, 1)))), expected)


def test_a_box_covers_parts_of_cells():
    covered = Box(WORD, (0.05, 0.1875, 0.43, 0.5)).covered(context())
    columns = torch.tensor([0.5, 1, 1, 1, 0.3, 0, 0, 0, 0, 0], dtype=DOUBLE)
    rows = torch.tensor([0, 0.5, 1, 1, 0, 0, 0, 0], dtype=DOUBLE)
    assert_close(covered, rows[:, None] * columns)


def test_boxdiff_counts_cells_that_are_covered_by_half_and_else_the_most_covered():
    half = Box(WORD, (0.15, 0.25, 0.64, 0.5), "boxdiff")  # column 1 by half, 6 by 0.4
    whole = Box(WORD, (0.1, 0.25, 0.6, 0.5), "boxdiff")
    small = Box(WORD, (0.31, 0.51, 0.33, 0.53), "boxdiff")
    cell = Box(WORD, (0.3, 0.5, 0.4, 0.625), "boxdiff")
    estimate = seen(context(), Attention())
    assert_close(half(estimate), whole(estimate))
    assert_close(small(estimate), cell(estimate))


def test_boxdiff_of_the_whole_image_has_no_outside():
    attention = context()
    shares = maps.across_text(attention)[:, 1]
    energy = Box(WORD, (0.0, 0.0, 1.0, 1.0), "boxdiff")(seen(attention, Attention()))
    for share, value in zip(shares.tolist(), energy.tolist(), strict=True):
        corners = sum(1 - max(row[j] for row in share) for j in (0, 1, 9)) / WIDTH
        corners += sum(1 - max(share[i]) for i in (0, 1, 7)) / HEIGHT
        cells = [value for row in share for value in row]
        assert value == pytest.approx(1 - strongest(cells) + corners)
