"""The two conventions of the CFG scale, and the density that CFG's direction belongs to."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from guidance_core.procedures.cfg_conventions import gamma_of
from tests import ground_truth


@pytest.mark.parametrize("w", [-1.0, -0.5, 0.0, 3.0, 6.5])
def test_both_conventions_name_one_estimate(w):
    cond, uncond = torch.tensor([[0.3, -1.2, 2.0], [-0.4, 0.9, 0.1]], dtype=torch.float64)
    gamma = gamma_of(w, "w")
    ours = uncond + gamma * (cond - uncond)
    torch.testing.assert_close(ours, (1 + w) * cond - w * uncond)
    assert gamma_of(gamma, "gamma") == gamma


def test_a_convex_scale_mixes_the_log_densities():
    assert gamma_of(0.3, "gamma") == 0.3 == pytest.approx(gamma_of(-0.7, "w"))


@pytest.mark.parametrize("alpha", [ground_truth.ve, ground_truth.flow])
@pytest.mark.parametrize(("scale", "convention"), [(0.4, "gamma"), (4.0, "gamma"), (2.0, "w")])
def test_the_direction_is_that_of_the_tempered_density(alpha, scale, convention):
    # A condition on the mixture: its first two hills alone.
    whole = ground_truth.three_hills(alpha)
    weights = torch.tensor([0.2, 0.8], dtype=torch.float64)
    given = replace(whole, weights=weights, means=whole.means[:2], variances=whole.variances[:2])
    sigma = torch.full((5,), 0.6, dtype=torch.float64)
    x = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    gamma = gamma_of(scale, convention)
    cond, uncond = (hills.denoise(x, sigma).x0 for hills in (given, whole))
    x0 = uncond + gamma * (cond - uncond)
    there = x.clone().requires_grad_()
    log = gamma * given.log_density(there, sigma) + (1 - gamma) * whole.log_density(there, sigma)
    (score,) = torch.autograd.grad(log.sum(), there)
    torch.testing.assert_close((alpha(sigma)[:, None] * x0 - x) / 0.6**2, score)


@pytest.mark.parametrize(
    ("scale", "convention", "fault"),
    [(-0.1, "gamma", "at least 0"), (-1.1, "w", "at least -1"), (4.0, "s", "gamma, w")],
)
def test_impossible_scales_are_refused(scale, convention, fault):
    with pytest.raises(ValueError, match=fault):
        gamma_of(scale, convention)
