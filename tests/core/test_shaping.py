"""Sizes of steps: closed forms, row by row."""

from __future__ import annotations

import math

import pytest
import torch

from guidance_core.shaping import (
    cfg_push,
    clip_rms,
    fade,
    norm,
    rms,
    root_gradient,
    unit_rms,
    unit_size,
)
from tests.core.toys import DOUBLE, Model, assert_close, latent, levels, seeded
from tests.ground_truth import flow


def rows(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=DOUBLE)


def test_a_step_is_full_from_twice_the_stop_and_none_at_the_stop():
    energies = 0.3 * rows(0.0, 0.5, 1.0, 1.25, 1.5, 2.0, 2.5, 100.0)
    assert_close(fade(energies, 0.3), rows(0, 0, 0, 0.25, 0.5, 1, 1, 1))
    assert_close(fade(-energies, 0.3), rows(*[0] * 8))


def test_without_a_stop_no_step_fades():
    assert_close(fade(rows(-1.0, 0.0, 1e-9, 7.0), 0.0), rows(1, 1, 1, 1))


def test_root_mean_square_and_norm_are_those_of_each_row():
    values = torch.stack([rows(3.0, -4.0, 0.0, 0.0), rows(-1.0, -1.0, -1.0, -1.0), rows(*[0] * 4)])
    assert_close(rms(values.reshape(3, 1, 2, 2)), rows(2.5, 1, 0))
    assert_close(norm(values.reshape(3, 1, 2, 2)), rows(5, 2, 0))


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_sizes_whose_square_is_no_single_are_still_measured(size):
    values = size * seeded(2, 3, 4).float()
    exact = values.double().square().mean((1, 2)).sqrt()
    torch.testing.assert_close(rms(values).double(), exact, rtol=1e-6, atol=0)


def test_unit_rows_keep_their_direction_and_zero_stays():
    values = torch.stack([seeded(3, 4), 0 * seeded(3, 4), -1e-3 * seeded(3, 4, seed=1)])
    unit = unit_rms(values)
    assert_close(unit.square().mean((1, 2)), rows(1, 0, 1))
    assert_close(unit[0] * rms(values)[0], values[0])
    assert_close(unit[2] * rms(values)[2], values[2])


def test_only_rows_above_their_limit_are_scaled_down_to_it():
    values = torch.stack([seeded(3, 4)] * 3)
    size = float(rms(values)[0])
    clipped = clip_rms(values, size * rows(0.5, 1.0, 3.0))
    assert_close(clipped, values * rows(0.5, 1.0, 1.0)[:, None, None])


def test_a_root_has_the_gradient_of_the_root():
    x = seeded(2, 3, 4).requires_grad_()
    energy = x.square().sum((1, 2)) * rows(1.0, 1e-12)
    (grad,) = torch.autograd.grad(energy.sum(), x, retain_graph=True)
    (expected,) = torch.autograd.grad(energy.sqrt().sum(), x)
    assert_close(root_gradient(grad, energy.detach()), expected)


def test_the_root_of_nothing_pulls_nowhere_and_a_negative_energy_is_refused():
    grad = torch.ones(2, 3, dtype=DOUBLE)
    assert_close(root_gradient(grad, rows(4.0, 0.0)), grad * rows(0.25, 0.0)[:, None])
    with pytest.raises(RuntimeError, match="this energy is negative"):
        root_gradient(grad, rows(4.0, -1e-9))


def test_the_unit_of_the_relative_scale_is_the_posteriors_width():
    """Of x = alpha x0 + sigma n with unit x0: var(x0 | x) = 1 - alpha^2 / (alpha^2 + sigma^2)."""
    for alpha in (torch.ones_like, flow):
        a = float(alpha(levels(0.8))[0])
        estimate = Model()(latent(), levels(0.8))
        size = unit_size("relative", estimate, alpha(levels(0.8)), "Mine")
        assert_close(size, rows(*[math.sqrt(1 - a**2 / (a**2 + 0.64))] * 2))


def test_the_unit_of_the_cfg_scale_is_the_change_that_cfg_makes():
    estimate = Model()(latent(), levels(0.8))
    change = (estimate.x0 - estimate.uncond).flatten(1).square().mean(1).sqrt()
    assert_close(unit_size("cfg", estimate, levels(0.2), "Mine"), change.detach())
    assert cfg_push(Model(cfg=False)(latent(), levels(0.8))) is None
