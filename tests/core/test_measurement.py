"""Operators are linear with a true adjoint; a measurement is met where the residual is noise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from guidance_core.compose import guided
from guidance_core.energies.masked import Masked
from guidance_core.energies.measurement import Measurement
from guidance_core.gradients import at_estimate
from guidance_core.image.degradations import (
    Compose,
    GaussianBlur,
    Grey,
    Hide,
    MotionBlur,
    Shrink,
    adjoint,
)
from guidance_core.rules.posterior import Posterior
from guidance_core.run import Run
from guidance_core.schedules import Constant
from guidance_core.shaping import as_squared_norm
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, levels, seeded

MISSING = torch.zeros(16, 24, dtype=DOUBLE)
MISSING[:, 12:] = 1.0
OPERATORS = {
    "hide": Hide(MISSING),
    "box": Shrink(4, "box"),
    "bicubic": Shrink(2),
    "gaussian": GaussianBlur(1.5),
    "motion": MotionBlur(7, 30.0),
    "grey": Grey(),
    "nothing": Compose(),
    "several": Compose((GaussianBlur(0.7), Shrink(4), Grey())),
}
EACH = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS.keys())


def shown(image: Tensor) -> Estimate:
    return Estimate(image, levels(1.0, image.shape[0]), lambda x0: x0)


def picture(batch: int = 2, seed: int = 0) -> Tensor:
    return seeded(batch, 3, 16, 24, seed=seed).sigmoid()


@EACH
def test_operators_are_linear_row_by_row(operator):
    a, b = picture(), picture(seed=1)
    assert_close(operator(2 * a - 3 * b), 2 * operator(a) - 3 * operator(b))
    assert_close(operator(a)[1:], operator(a[1:]))


@EACH
def test_adjoint_passes_the_dot_product_test(operator):
    image = picture()
    measured = seeded(*operator(image).shape, seed=2)
    there = (operator(image) * measured).sum()
    assert_close(there, (image * adjoint(operator, measured, image)).sum())
    assert there.abs() > 1e-3


@EACH
def test_flat_pictures_stay_flat_where_they_are_seen(operator):
    seen = operator(torch.full((1, 3, 16, 24), 0.5, dtype=DOUBLE))
    assert ((seen - 0.5).abs() < 1e-6).logical_or(seen == 0).all()


@EACH
def test_a_measurement_is_zero_at_its_picture_and_a_mean_square_elsewhere(operator):
    energy = Measurement(operator(picture()), operator)
    assert torch.equal(energy(shown(picture())), torch.zeros(2, dtype=DOUBLE))
    _, slope = at_estimate(energy, shown(picture()))
    assert torch.equal(slope, torch.zeros_like(slope))
    other = picture(seed=1)
    expected = (operator(other) - operator(picture())).square().flatten(1).mean(1)
    assert_close(energy(shown(other)), expected)


@EACH
def test_gradient_of_a_measurement_is_that_of_finite_differences(operator):
    energy = Measurement(operator(picture(1)), operator)
    start = picture(1, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: energy(shown(x)), start, atol=1e-6, fast_mode=True)


def test_gradient_of_a_measurement_is_the_adjoint_of_the_residual():
    operator = OPERATORS["several"]
    energy = Measurement(operator(picture(1)), operator)
    _, slope = at_estimate(energy, shown(picture(1, seed=1)))
    residual = energy.residual(picture(1, seed=1))
    back = adjoint(operator, residual, picture(1))
    assert_close(slope, 2 * back / residual.numel())


def test_motion_blurs_along_its_angle():
    dot = torch.zeros(1, 1, 15, 15)
    dot[..., 7, 7] = 1.0
    across = MotionBlur(5)(dot)[0, 0]
    assert torch.allclose(across[7, 5:10], torch.full((5,), 0.2), atol=1e-6)
    assert torch.allclose(MotionBlur(5, 90.0)(dot)[0, 0], across.T, atol=1e-6)


def test_noise_below_its_level_says_nothing():
    noisy = picture() + 0.1 * torch.tensor([1.0, -1.0], dtype=DOUBLE).repeat(12)
    energy = Measurement(noisy, noise=0.1)
    assert_close(energy(shown(noisy + 0.2)), torch.full((2,), 0.03, dtype=DOUBLE))
    value, slope = at_estimate(energy, shown(noisy + 0.09))
    assert torch.equal(value, torch.zeros_like(value))
    assert torch.equal(slope, torch.zeros_like(slope))


def followed(energy, image: Tensor) -> Tensor:
    """What Posterior moves the latent by: a model and a decoder that do nothing, r = r_next = 1."""
    still = lambda x, sigma: Estimate(x + 0, sigma, lambda x0: x0)
    run = Run(torch.ones_like, torch.tensor([1.0, 0.0], dtype=DOUBLE), share=lambda s, n: 1.0)
    rule = Posterior(energy, Constant(), "absolute")
    moved = guided([rule], still, run)(image, levels(1.0, len(image))).x0 - image
    return moved / math.sqrt(2)


def beyond(operator, excess: float) -> tuple[Tensor, Measurement]:
    """An image whose residual is larger than the noise by a fraction, and the measurement."""
    image, noise = picture(1, seed=1), 0.1
    residual = operator(image) - operator(picture(1))
    size = residual.square().mean().sqrt()
    measured = operator(image) - residual * (noise * (1 + excess) / size)
    return image, Measurement(measured, operator, noise)


@EACH
@pytest.mark.parametrize("excess", [1e-6, 1e-3, 1.0])
def test_the_root_of_a_measurement_is_never_steeper_than_its_norm(operator, excess):
    """Near the noise too: the published step 2 A^T r / |r| of a residual over [-1, 1]."""
    image, energy = beyond(operator, excess)
    residual = energy.residual(image)
    published = 2 * adjoint(operator, residual, image) / residual.square().sum().sqrt()
    assert_close(followed(energy, image), -published)
    inside, met = beyond(operator, -excess / 2)
    assert torch.equal(followed(met, inside), torch.zeros_like(inside))


@EACH
@pytest.mark.parametrize("excess", [1e-4, 0.5])
def test_the_root_near_the_noise_is_that_of_finite_differences(operator, excess):
    image, energy = beyond(operator, excess)
    way = seeded(*image.shape, seed=6)
    way = way / way.square().sum().sqrt()
    height = lambda x: energy.squared_norm(shown(x)).sqrt()
    step = 1e-6
    slope = (height(image + step * way) - height(image - step * way)) / (2 * step)
    assert_close_to(-(followed(energy, image) * way).sum(), slope[0])


def assert_close_to(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-7)


@EACH
def test_the_published_norm_is_over_all_that_was_measured_in_images_from_minus_one(operator):
    """DPS: |y - A x| with x, y in [-1, 1]; A of a constant is what it is, so 2 A x - 1 of it."""
    wide = lambda image: 2 * image - 1
    energy = Measurement(operator(picture()), operator)
    apart = operator(wide(picture(seed=1))) - operator(wide(picture()))
    assert_close(energy.squared_norm(shown(picture(seed=1))), apart.square().flatten(1).sum(1))


def test_the_published_norm_counts_what_a_mask_leaves():
    seen = 1 - MISSING
    energy = Measurement(picture(1), noise=0.1, mask=seen)
    part = (picture(seed=1) - picture(1))[..., :12].flatten(1)
    norm = (part.norm(dim=1) - 0.1 * math.sqrt(part.shape[1])).clamp_min(0)
    assert_close(energy.squared_norm(shown(picture(seed=1))), 4 * norm.square())
    half = torch.zeros(16, 24, dtype=DOUBLE)
    half[:8] = 1.0
    once = energy.within(half).squared_norm(shown(picture(seed=1)))
    assert_close(
        Masked(energy, half)(shown(picture(seed=1))), energy.within(half)(shown(picture(seed=1)))
    )
    assert_close(as_squared_norm(Masked(energy, half))(shown(picture(seed=1))), once)


def test_a_mask_weights_what_was_measured():
    seen = 1 - MISSING
    energy = Measurement(picture(1), mask=seen)
    other = picture(seed=1)
    expected = (other - picture(1))[..., :12].square().flatten(1).mean(1)
    assert_close(energy(shown(other)), expected)
    top = torch.zeros(8, 12, dtype=DOUBLE)
    top[:4] = 1.0
    _, slope = at_estimate(Masked(energy, top), shown(other))
    inside = torch.zeros(16, 24, dtype=torch.bool)
    inside[:8, :12] = True
    assert torch.equal((slope.abs().sum(1) > 0).all(0), inside)


def test_sample_alone_equals_sample_in_batch():
    operator = OPERATORS["several"]
    energy = Measurement(operator(picture(1)), operator)
    value, slope = at_estimate(energy, shown(picture(seed=1)))
    alone, slope_alone = at_estimate(energy, shown(picture(seed=1)[1:]))
    assert_close(alone[0], value[1])
    assert_close(slope_alone[0], slope[1])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Hide(torch.ones(4, 4)), "everything is missing"),
        (lambda: Hide(torch.ones(4)), "got 4$"),
        (lambda: Hide(2 * torch.ones(4, 4)), "values in .0, 1."),
        (lambda: Shrink(0), "factor must be >= 1, got 0"),
        (lambda: Shrink(2, "lanczos"), "box or bicubic, got 'lanczos'"),
        (lambda: Shrink(5)(picture()), "24x16 cannot be shrunk 5 times"),
        (lambda: GaussianBlur(0.0), "sigma must be > 0"),
        (lambda: GaussianBlur(9.0)(picture()), "a blur 55 pixels wide needs .* got 16"),
        (lambda: MotionBlur(4), "odd number of pixels >= 3, got 4"),
        (lambda: Measurement(torch.rand(3, 4, 4)), "got 3 x 4 x 4$"),
        (lambda: Measurement(picture(), noise=-1.0), "noise must be >= 0"),
        (
            lambda: Measurement(picture()[..., :8])(shown(picture())),
            "measured is 8x16 with 3 channels, .*is 24x16 .* crop or resize",
        ),
        (lambda: Measurement(picture(3))(shown(picture())), "has 3 images, the latent batch 2"),
    ],
)
def test_what_does_not_fit_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
