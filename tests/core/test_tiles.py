"""Tiles cover a field, and blend without a seam."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance_core.image.tiles import starts, tiled, weights, windows


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 69))
def test_tiles_cover_an_axis_overlap_as_asked_and_are_as_few_as_can_be(length, side, overlap):
    side = min(side, length)
    overlap = min(overlap, side - 1)
    found = starts(length, side, overlap)
    assert found[0] == 0
    assert found[-1] == length - side
    gaps = [b - a for a, b in zip(found, found[1:], strict=False)]
    assert all(0 < gap <= side - overlap for gap in gaps)
    assert (len(found) - 1) * (side - overlap) + overlap < length or len(found) == 1


def test_tiles_of_a_constant_field_reassemble_exactly():
    field = torch.full((2, 4, 37, 64), 0.3)
    seen = []
    whole = tiled(
        lambda tile, window: seen.append(tile.shape) or torch.ones_like(tile), field, 16, 5
    )
    assert torch.equal(whole, torch.ones_like(field))
    assert set(seen) == {(2, 4, 16, 16)}
    assert len(seen) == 3 * 6


def test_a_function_of_each_place_is_that_of_the_whole():
    x = torch.randn(1, 3, 24, 40, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(tiled(lambda tile, window: tile**3, x, 16, 4), x**3)


def test_between_two_tiles_the_blend_goes_evenly_from_one_to_the_other():
    x = torch.zeros(1, 1, 4, 12).double()
    # The left tile says 0, the right one 1; they share places 4 to 7.
    whole = tiled(lambda tile, window: torch.full_like(tile, float(window[1].start > 0)), x, 8, 4)
    torch.testing.assert_close(whole[0, 0, 0, 4:8], torch.tensor([1.0, 2.0, 3.0, 4.0]).double() / 5)
    assert not whole[..., :4].any()
    assert bool((whole[..., 8:] == 1).all())


def test_a_field_of_a_tiles_size_is_one_tile():
    assert list(windows((16, 16), 16, 4)) == [(slice(0, 16), slice(0, 16))]
    assert list(windows((8, 16), 16, 4)) == [(slice(0, 8), slice(0, 16))]


def test_gradients_flow_to_each_place_with_weight_one():
    x = torch.ones(1, 1, 20, 20).double().requires_grad_()
    tiled(lambda tile, window: tile, x, 8, 3).sum().backward()
    torch.testing.assert_close(x.grad, torch.ones_like(x))


def test_weights_are_greatest_in_the_middle_and_never_zero():
    weight = weights(5, 4)
    assert float(weight.max()) == 1
    assert float(weight.min()) > 0
    assert torch.equal(weight, weight.flip(0, 1))


@pytest.mark.parametrize(
    ("side", "overlap", "message"),
    [(0, 0, "1 to 8 places, got 0"), (9, 0, "got 9"), (4, 4, "0 to 3 places, got 4")],
)
def test_tiles_out_of_bounds_are_refused(side, overlap, message):
    with pytest.raises(ValueError, match=message):
        starts(8, side, overlap)
