"""Masks: brought to a size, multiplied, framed, and what they leave of each energy of the image."""

from __future__ import annotations

import pytest
import torch

from guidance_core.energies.color import MeanColor
from guidance_core.energies.image import ReferenceImage
from guidance_core.energies.masked import Masked
from guidance_core.energies.measurement import Measurement
from guidance_core.energies.palette import Palette
from guidance_core.energies.smoothness import Smoothness
from guidance_core.gradients import at_estimate
from guidance_core.image.masks import (
    box_mask,
    mask_at,
    mask_product,
    masked_mean,
    square_around,
)
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, levels, seeded

HEIGHT, WIDTH = 8, 10


def pixels(batch: int = 2, seed: int = 1) -> torch.Tensor:
    return seeded(batch, 3, HEIGHT, WIDTH, seed=seed).sigmoid()


def shown(image: torch.Tensor) -> Estimate:
    return Estimate(image, levels(1.0, len(image)), lambda x0: x0)


def rectangle(top: int, bottom: int, left: int, right: int) -> torch.Tensor:
    mask = torch.zeros(HEIGHT, WIDTH, dtype=DOUBLE)
    mask[top:bottom, left:right] = 1
    return mask


def part(image: torch.Tensor) -> torch.Tensor:
    """What lies in both of the rectangles below."""
    return image[..., 2:5, 3:9]


FIRST, SECOND = rectangle(1, 5, 3, 10), rectangle(2, 7, 0, 9)
THERE = pixels(1, seed=2)


class Colours(torch.nn.Module):
    """Features that are the image itself."""

    def blocks(self, image):
        return [image, image.square()]


# What makes the energy, given a reference and a mask.
MASKED = {
    "colour": lambda there, mask: MeanColor(torch.tensor([0.2, 0.9, 0.4]), mask=mask),
    "share of a colour": lambda there, mask: MeanColor(torch.tensor([1.0, 0, 0]), 0.4, mask),
    "palette": lambda there, mask: Palette(torch.eye(3), mask),
    "image, l1": lambda there, mask: ReferenceImage(there, "l1", mask=mask),
    "image, l2": lambda there, mask: ReferenceImage(there, "l2", mask=mask),
    "features": lambda there, mask: ReferenceImage(there, "features", Colours(), mask),
    "measurement": lambda there, mask: Measurement(there, noise=0.1, mask=mask),
}
EACH = pytest.mark.parametrize("make", MASKED.values(), ids=MASKED.keys())


@EACH
def test_a_masked_energy_is_that_of_the_part(make):
    alone = make(part(THERE), None)(shown(part(pixels())))
    assert_close(make(THERE, FIRST * SECOND)(shown(pixels())), alone)


@EACH
def test_two_masks_leave_what_lies_in_both(make):
    alone = make(part(THERE), None)(shown(part(pixels())))
    assert_close(make(THERE, FIRST).within(SECOND)(shown(pixels())), alone)
    assert_close(Masked(make(THERE, FIRST), SECOND)(shown(pixels())), alone)


@EACH
def test_each_sample_has_its_own_mask(make):
    masks = torch.stack([FIRST, SECOND])
    both = make(THERE, masks)(shown(pixels()))
    for i in range(2):
        assert_close(both[i : i + 1], make(THERE, masks[i])(shown(pixels()[i : i + 1])))


@pytest.mark.parametrize(("keep", "size"), [(True, torch.abs), (False, torch.square)])
def test_smoothness_counts_the_lower_and_right_neighbours_of_masked_pixels(keep, size):
    image = pixels()
    down = size(image[..., 3:6, 3:9] - part(image))
    right = size(image[..., 2:5, 4:10] - part(image))
    expected = (down + right).mean((1, 2, 3))
    assert_close(Smoothness(keep, FIRST * SECOND)(shown(image)), expected)
    assert_close(Smoothness(keep, FIRST).within(SECOND)(shown(image)), expected)


def test_a_mask_shrinks_to_the_fraction_that_it_covers():
    mask = torch.zeros(4, 6)
    mask[:2, :3] = 1
    mask[0, 4] = 1
    image = torch.zeros(3, 1, 2, 3, dtype=DOUBLE)
    expected = torch.tensor([[1, 0.5, 0.25], [0, 0, 0]], dtype=DOUBLE).expand(3, 2, 3)
    assert_close(mask_at(mask, image), expected)
    assert_close(mask_at(mask[None], image), expected)
    with pytest.raises(ValueError, match="mask has 2 "):
        mask_at(mask.expand(2, 4, 6), image)


def test_a_product_has_the_first_masks_size_and_a_batch_if_either_has_one():
    fine, coarse = torch.ones(4, 4, dtype=DOUBLE), torch.tensor([[1.0, 0.0], [0.5, 0.0]]).double()
    fine[:, 0] = 0.5
    expected = fine * coarse.repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert_close(mask_product(fine, coarse), expected)
    assert_close(mask_product(coarse, fine), coarse * torch.tensor([0.75, 1.0]).double())
    assert_close(mask_product(fine.expand(2, 4, 4), coarse), expected.expand(2, 4, 4))
    assert_close(mask_product(fine, coarse.expand(2, 2, 2)), expected.expand(2, 4, 4))
    assert mask_product(fine, None) is fine


def test_a_masked_mean_is_over_channels_and_weighted_places():
    values, mask = seeded(2, 3, 4, 5), seeded(2, 4, 5, seed=1).sigmoid()
    mask[1] = 0
    expected = (values[0] * mask[0]).sum() / (3 * mask[0].sum())
    assert_close(masked_mean(values, mask), torch.stack([expected, 0 * expected]))
    assert_close(masked_mean(values, None), values.mean((1, 2, 3)))


@pytest.mark.parametrize(
    ("area", "rows", "columns"),
    [
        ((3, 5, 4, 6), (3, 5), (4, 6)),  # a square is itself
        ((1, 5, 4, 6), (1, 5), (3, 7)),  # a tall one grows to both sides
        ((3, 4, 2, 7), (1, 6), (2, 7)),  # a flat one grows up and down
        ((2, 6, 0, 1), (2, 6), (0, 4)),  # as far as the left edge allows
        ((2, 6, 9, 10), (2, 6), (6, 10)),  # and the right one
        ((0, 1, 3, 6), (0, 3), (3, 6)),  # the upper
        ((7, 8, 3, 6), (5, 8), (3, 6)),  # and the lower one
        ((4, 5, 0, 10), (0, 8), (0, 10)),  # wider than the image is high
    ],
)
def test_a_square_lies_around_its_mask_inside_the_image(area, rows, columns):
    assert square_around(rectangle(*area)) == (slice(*rows), slice(*columns))


def test_a_soft_mask_lets_as_much_of_the_gradient_through():
    def brightness(estimate):
        return estimate.image.sum((1, 2, 3))

    brightness.reads_image = True
    mask = rectangle(2, 6, 3, 7) * torch.linspace(0.1, 1, WIDTH).double()
    value, slope = at_estimate(Masked(brightness, mask), shown(pixels()))
    assert_close(slope, mask.expand(2, 3, HEIGHT, WIDTH))
    assert_close(value, pixels()[..., 2:6, 3:7].sum((1, 2, 3)))


@pytest.mark.parametrize(
    "edges", [(0.0, 0.0, 1.0, 1.0), (0.1, 0.23, 0.57, 0.9), (0.3, 0.4, 0.301, 1)]
)
def test_a_box_covers_its_own_part_of_the_grid_and_nothing_outside(edges):
    left, top, right, bottom = edges
    mask = box_mask(edges, 16)
    assert float(mask.double().mean()) == pytest.approx((right - left) * (bottom - top), abs=1e-7)
    rows, columns = (mask.amax(axis) for axis in (1, 0))
    for line, start, end in ((rows, top, bottom), (columns, left, right)):
        there = line.nonzero().flatten()
        assert int(there[0]) == int(start * 16)
        assert int(there[-1]) == -int(-end * 16 // 1) - 1


@pytest.mark.parametrize(
    "edges", [(0.5, 0, 0.5, 1), (0, 0.6, 1, 0.4), (-0.1, 0, 1, 1), (0, 0, 1, 1.1)]
)
def test_a_box_that_is_empty_or_outside_is_refused(edges):
    with pytest.raises(ValueError, match="left < right and top < bottom"):
        box_mask(edges)
