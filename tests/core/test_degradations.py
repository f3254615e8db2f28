"""Cameras against their published kernels and another library's resampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from guidance_core.image.degradations import GaussianBlur, Grey, Hide, MotionBlur, Shrink
from tests.core.toys import DOUBLE, assert_close, seeded


def dot(row: int, column: int, size: int = 21) -> torch.Tensor:
    image = torch.zeros(1, 1, size, size, dtype=DOUBLE)
    image[..., row, column] = 1
    return image


@pytest.mark.parametrize("sigma", [0.8, 1.5, 3.0])
def test_a_lens_spreads_a_dot_as_a_bell(sigma):
    reach = math.ceil(3 * sigma)
    line = torch.tensor([math.exp(-((k - 10) ** 2) / (2 * sigma**2)) for k in range(21)])
    line[[k for k in range(21) if abs(k - 10) > reach]] = 0
    line = line / line.sum()
    spread = GaussianBlur(sigma)(dot(10, 10))[0, 0]
    torch.testing.assert_close(spread.float(), line[:, None] * line, rtol=1e-4, atol=1e-6)


def test_borders_are_mirrored():
    """A dot beside the corner counts once more as its mirror image, not at the corner itself."""
    inside = GaussianBlur(1.0)(dot(10, 10))[0, 0]
    beside = GaussianBlur(1.0)(dot(1, 10))[0, 0]
    assert_close(beside[0], 2 * inside[9])
    corner = GaussianBlur(1.0)(dot(0, 10))[0, 0]
    assert_close(corner[0], inside[10])


@pytest.mark.parametrize(("angle", "row", "column"), [(0, 10, 13), (45, 8, 12), (135, 8, 8)])
def test_a_camera_moves_anticlockwise_of_level(angle, row, column):
    blurred = MotionBlur(7, float(angle))(dot(10, 10))[0, 0]
    assert blurred[row, column] > 0.05
    assert blurred[20 - row, 20 - column] > 0.05
    if angle:
        assert blurred[row, 20 - column] < 1e-6


def test_a_box_takes_means_and_bicubic_is_that_of_pillow():
    image = seeded(1, 3, 12, 20).sigmoid()
    means = image.view(1, 3, 3, 4, 5, 4).mean((3, 5))
    assert_close(Shrink(4, "box")(image), means)
    expected = [
        np.asarray(Image.fromarray(channel.numpy()).resize((5, 3), Image.Resampling.BICUBIC))
        for channel in image[0].float()
    ]
    shrunk = Shrink(4)(image)[0].float()
    torch.testing.assert_close(shrunk, torch.tensor(np.stack(expected)), rtol=1e-4, atol=1e-5)


def test_a_film_without_colour_has_the_luma_of_bt_601():
    luma = Grey()(torch.eye(3, dtype=DOUBLE).view(3, 3, 1, 1)).flatten()
    torch.testing.assert_close(luma.float(), torch.tensor([0.299, 0.587, 0.114]))


def test_what_is_hidden_by_part_is_darker_by_that_part():
    missing = torch.tensor([[1.0, 0.25], [0.0, 0.0]], dtype=DOUBLE)
    image = seeded(2, 3, 4, 4).sigmoid()
    seen = torch.tensor([[0.0, 0.75], [1.0, 1.0]], dtype=DOUBLE)
    expected = image * seen.repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert_close(Hide(missing)(image), expected)
    assert_close(Hide(missing.expand(2, 2, 2))(image), expected)
