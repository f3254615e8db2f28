"""The sliced Wasserstein distance of colours against sorted values, its closed form in one axis."""

from __future__ import annotations

import math

import pytest
import torch

from guidance_core.energies.color_histogram import ColorHistogram
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, levels, seeded

ROOT_2, ROOT_3 = math.sqrt(2), math.sqrt(3)
LINES = torch.tensor(
    [
        *[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]],
        *[[1 / ROOT_2, s / ROOT_2, 0] for s in (1, -1)],
        *[[1 / ROOT_2, 0, s / ROOT_2] for s in (1, -1)],
        *[[0, 1 / ROOT_2, s / ROOT_2] for s in (1, -1)],
        *[[x / ROOT_3, y / ROOT_3, z / ROOT_3] for x, y, z in ((1, 1, 1), (1, 1, -1))],
        *[[x / ROOT_3, y / ROOT_3, z / ROOT_3] for x, y, z in ((1, -1, 1), (-1, 1, 1))],
    ],
    dtype=DOUBLE,
)


def image(side: int, seed: int, batch: int = 1) -> torch.Tensor:
    return seeded(batch, 3, side, side, seed=seed).sigmoid()


def shown(pixels: torch.Tensor) -> Estimate:
    return Estimate(pixels, levels(1.0, len(pixels)), lambda x0: x0)


def wasserstein(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean over lines of the mean squared difference of sorted values, for equal numbers."""
    a, b = ((LINES @ part.flatten(2)).sort(2).values for part in (a, b))
    return (a - b).square().mean((1, 2))


def test_as_many_pixels_as_quantiles_are_compared_one_by_one_in_order():
    now, there = image(16, 1, batch=2), image(16, 2)
    assert_close(ColorHistogram(there)(shown(now)), wasserstein(now, there))


@pytest.mark.parametrize("repeats", [2, 3])
def test_an_enlarged_image_has_the_same_colours(repeats):
    """Each pixel stands `repeats`^2 times: the quantiles between stay within one pixel's range."""
    now, there = image(16, 1), image(16, 2)
    larger = there.repeat_interleave(repeats, 2).repeat_interleave(repeats, 3)
    torch.testing.assert_close(
        ColorHistogram(larger)(shown(now)), wasserstein(now, there), rtol=0.02, atol=0
    )


@pytest.mark.parametrize(("side", "other"), [(7, 7), (7, 20), (24, 9)])
def test_negatives_are_as_far_apart_as_the_images(side, other):
    """Order turns round: quantiles that lean to one end would not be the same."""
    now, there = image(side, 3), image(other, 4)
    assert_close(
        ColorHistogram(1 - there)(shown(1 - now)),
        ColorHistogram(there)(shown(now)),
    )


def test_between_the_sorted_pixels_quantiles_run_straight():
    """Two of four pixels are white here and grey there; pixel k stands at (k + 1/2) / 4."""
    now, there = torch.zeros(1, 3, 2, 2, dtype=DOUBLE), torch.zeros(1, 3, 2, 2, dtype=DOUBLE)
    now[..., 0], there[..., 1] = 1.0, 0.5
    steps = torch.linspace(0, 1, 100_001, dtype=DOUBLE)
    height = (4 * steps - 0.5 - 1).clamp(0, 1)  # from the second pixel to the third
    white = (LINES @ torch.ones(3, dtype=DOUBLE)).square().mean()
    expected = white * (0.5 * height).square().mean()
    torch.testing.assert_close(ColorHistogram(there)(shown(now))[0], expected, rtol=1e-4, atol=0)
