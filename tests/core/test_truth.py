"""The rules against a model whose every answer is known, beyond forward guidance."""

from __future__ import annotations

import math

import pytest
import torch

from guidance_core.compose import guided
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.manifold import Manifold
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.unified import Unified
from guidance_core.run import Run
from guidance_core.schedules import Constant
from tests.core.toys import DOUBLE, seeded
from tests.ground_truth import flow, three_hills, ve

FAMILIES = pytest.mark.parametrize("alpha", [ve, flow])
Y, R2 = torch.tensor([0.5, 0.6], dtype=DOUBLE), 0.8
DEFAULTS = {
    "forward": Forward,
    "backward": Backward,
    "manifold": Manifold,
    "posterior": Posterior,
    "unified": Unified,
}


def tilt(estimate):
    return 0.5 * (estimate.x0 - Y).square().sum(1) / R2


def euler(denoise, x, sigmas):
    for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
        x0 = denoise(x, high.expand(len(x))).x0
        x = x0 + low / high * (x - x0)
    return x


def levels_of(alpha, steps: int):
    if alpha is flow:
        return torch.linspace(1, 0, steps + 1, dtype=DOUBLE)
    falling = torch.logspace(math.log10(20), -2, steps, dtype=DOUBLE)
    return torch.cat([falling, falling.new_zeros(1)])


@FAMILIES
@pytest.mark.parametrize("name", DEFAULTS)
def test_no_rule_with_its_defaults_diverges_in_a_thousand_draws(name, alpha):
    """Every draw has noise and a target of its own, the targets up to five widths away."""
    count = 1000
    targets = 5 * torch.tanh(seeded(count, 2, seed=3))
    power = 10 ** (3 * torch.tanh(seeded(count, seed=4)))

    def energy(estimate):
        return power * (estimate.x0 - targets).square().sum(1)

    sigmas = levels_of(alpha, 20)
    rule = DEFAULTS[name](energy, Constant(0.5))
    mixture = three_hills(alpha)
    x = euler(
        guided([rule], mixture.denoise, Run(alpha, sigmas)), seeded(count, 2) * sigmas[0], sigmas
    )
    assert x.isfinite().all()
    assert (x.norm(dim=1) < 3 * (targets.norm(dim=1) + 3)).all()


def gap(alpha, sigma: float) -> float:
    """Distance to the exact guided denoiser of mean guidance, whose step is sigma^2 / alpha."""
    mixture = three_hills(alpha)
    level = torch.full((6,), sigma, dtype=DOUBLE)
    x = alpha(level)[:, None] * seeded(6, 2, seed=5)
    kept = float(alpha(level[:1]))
    run = Run(alpha, torch.stack([level[0], level[0]]), share=lambda high, low: 1.0)
    strength = sigma**2 / kept**2 / float(alpha(torch.zeros(1, dtype=DOUBLE)))
    rule = Manifold(tilt, Constant(strength), "absolute")
    guess = guided([rule], mixture.denoise, run)(x, level).x0
    return float((guess - mixture.tilted(Y, R2).denoise(x, level).x0).norm())


@FAMILIES
def test_mean_guidance_is_fourth_order_accurate_in_sigma(alpha):
    """The model's Jacobian is 1 / alpha up to sigma^2, so leaving it out keeps the order."""
    slope = math.log2(gap(alpha, 0.01) / gap(alpha, 0.005))
    assert slope == pytest.approx(4, abs=0.15)


SMOOTH = {
    "forward": Forward(lambda e: e.x0 @ Y, Constant(0.5)),
    "manifold": Manifold(lambda e: e.x0 @ Y, Constant(0.5)),
    "unified": Unified(lambda e: e.x0 @ Y, Constant(0.5)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_relative_rules_leave_euler_its_first_order(name):
    """Their push depends on the noise level alone, so more steps converge to one answer."""
    mixture = three_hills()

    def ends(steps: int):
        sigmas = torch.logspace(0.5, -1, steps + 1, dtype=DOUBLE)
        run = Run(ve, sigmas)
        return euler(guided([SMOOTH[name]], mixture.denoise, run), 2 * seeded(20, 2), sigmas)

    truth = ends(320)
    coarse, fine = (float((ends(n) - truth).norm()) for n in (20, 40))
    assert coarse / fine == pytest.approx(2, abs=0.3)


def test_published_steps_grow_with_their_number():
    """Why they are not the default: twice the steps push about twice as far."""
    mixture = three_hills()

    def moved(rule, steps: int) -> float:
        sigmas = torch.logspace(0.5, -1, steps + 1, dtype=DOUBLE)
        x = 2 * seeded(20, 2)
        plain = euler(mixture.denoise, x, sigmas)
        return float(
            (euler(guided([rule], mixture.denoise, Run(ve, sigmas)), x, sigmas) - plain).norm()
        )

    absolute = Posterior(lambda e: e.x0 @ Y, Constant(1e-3), "absolute", root=False)
    assert moved(absolute, 80) / moved(absolute, 40) == pytest.approx(2, abs=0.1)
    relative = Posterior(lambda e: e.x0 @ Y, Constant(1e-3))
    assert moved(relative, 80) / moved(relative, 40) == pytest.approx(1, abs=0.1)
