"""Prompt-to-Prompt's edit of rows of joint attention."""

from __future__ import annotations

import pytest
import torch

from guidance_core.attention.alignment import Alignment, Placed, one_behind_another, replaced
from guidance_core.attention.joint import Columns, edited_rows
from guidance_core.procedures.local_blend import blend_mask

# Three places of text and two of the image; the target has a fourth of its text, and another image.
SOURCE = torch.tensor([[0.1, 0.2, 0.1, 0.4, 0.2]], dtype=torch.float64)
TARGET = torch.tensor([[0.05, 0.1, 0.05, 0.1, 0.3, 0.2, 0.2]], dtype=torch.float64)
COLUMNS = Columns(slice(0, 3), slice(3, 5)), Columns(slice(0, 4), slice(4, 6))
# The middle word of the source has one token, that of the target two; the last place is its own.
PLAN = Alignment(
    torch.tensor([[1.0, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1.0]]),
    torch.tensor([1.0, 1.0, 1.0, 0.0]),
    torch.tensor([1.0, 1.0, 1.0, 1.0]),
)


def edit(alignment, *, itself):
    return edited_rows(SOURCE, TARGET, COLUMNS, alignment, itself=itself)


def test_a_row_is_the_one_written_out():
    words = torch.tensor([[0.1, 0.1, 0.1, 0.1, 0.3, 0.2, 0.2]], dtype=torch.float64)
    torch.testing.assert_close(edit(PLAN, itself=False), words / 1.1)
    own = torch.tensor([[0.05, 0.1, 0.05, 0.1, 0.4, 0.2, 0.2]], dtype=torch.float64)
    torch.testing.assert_close(edit(None, itself=True), own / 1.1)
    both = torch.tensor([[0.1, 0.1, 0.1, 0.1, 0.4, 0.2, 0.2]], dtype=torch.float64)
    torch.testing.assert_close(edit(PLAN, itself=True), both / 1.2)
    torch.testing.assert_close(edit(None, itself=False), TARGET)


def test_rows_add_up_to_one_but_for_the_factors_of_words():
    torch.testing.assert_close(edit(PLAN, itself=True).sum(-1), torch.ones(1).double())
    louder = Alignment(PLAN.source, PLAN.share, torch.tensor([1.0, 3.0, 3.0, -1.0]))
    plain, loud = edit(PLAN, itself=False), edit(louder, itself=False)
    factors = torch.tensor([1.0, 3, 3, -1, 1, 1, 1]).double()
    torch.testing.assert_close(loud, plain * factors)


def test_the_rows_given_are_left_as_they_are_and_carry_a_gradient():
    rows = TARGET.clone().requires_grad_()
    plan = Alignment(PLAN.source, PLAN.share, torch.tensor([1.0, 2.0, 1.0, 1.0]))
    run = lambda rows: edited_rows(SOURCE, rows, COLUMNS, plan, itself=True)
    assert torch.autograd.gradcheck(run, (rows,))
    torch.testing.assert_close(rows.detach(), TARGET)


def test_texts_behind_one_another_are_aligned_each_by_itself():
    word = lambda text, *places: Placed(text, places)
    first = replaced([word("a", 0)], [word("b", 0)], (1, 1), {0: 2.0})
    second = replaced([word("a", 0)], [word("b", 0, 1)], (2, 3), {})
    whole = one_behind_another([first, second])
    assert whole.source.shape == (3, 4)
    assert whole.source[0].tolist() == [1.0, 0, 0, 0]
    assert whole.source[1].tolist() == [0, 0.5, 0.5, 0]
    assert whole.factor.tolist() == [2.0, 1, 1, 1]
    assert whole.share.shape == (4,)


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 3, 4, 4)])
def test_a_mask_has_the_axes_of_the_latent(shape):
    maps = torch.zeros(shape)
    maps[0, ..., 1, 1] = 1.0
    maps[1, ..., 3, 3] = 0.5
    flat = blend_mask(maps[:, 0] if len(shape) == 4 else maps, (8, 8), 0.3)
    assert flat.shape == (2, 1, 8, 8)
    frames = blend_mask(maps, (3, 8, 8), 0.3)
    assert frames.shape == (2, 1, 3, 8, 8)
    assert all(torch.equal(frames[:, :, i], flat) for i in range(3))
    assert flat[0, 0, :6, :6].all()
    assert not flat[0, 0, 6:].any()
    assert flat[1, 0, 4:, 4:].all()
