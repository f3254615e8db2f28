"""Conversions between predictions, and the identities between VP and k-diffusion coordinates."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance_core import process
from guidance_core.compose import guided
from guidance_core.process import per_sample, posterior_std, renoise
from guidance_core.rules.forward import Forward
from guidance_core.run import Run
from guidance_core.schedules import Constant
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, seeded
from tests.ground_truth import flow, ve

PAIRS = [
    (process.x0_from_eps, process.eps_from_x0),
    (process.x0_from_v, process.v_from_x0),
    (process.x0_from_velocity, process.velocity_from_x0),
    (process.x0_from_score, process.score_from_x0),
]
ETA = 0.7  # strength of the identities below


@pytest.mark.parametrize(("to_x0", "from_x0"), PAIRS)
@given(sigma=st.floats(0.01, 80), alpha=st.floats(0.01, 1), seed=st.integers(0, 99))
def test_predictions_round_trip(to_x0, from_x0, sigma, alpha, seed):
    x, x0 = seeded(2, 3, 4, seed=seed), seeded(2, 3, 4, seed=seed + 1)
    level, scale = torch.tensor([sigma] * 2).double(), torch.tensor([alpha] * 2).double()
    back = to_x0(from_x0(x0, x, level, scale), x, level, scale)
    torch.testing.assert_close(back, x0, rtol=1e-7, atol=1e-6)


@given(sigma=st.floats(0.05, 0.95))
def test_predictions_are_those_of_the_noising_process(sigma):
    x0, n = seeded(2, 3), seeded(2, 3, seed=1)
    level = torch.tensor([sigma] * 2).double()
    for alpha in (ve(level), flow(level)):
        x = per_sample(alpha, x0) * x0 + per_sample(level, x0) * n
        assert_close(process.eps_from_x0(x0, x, level, alpha), n)
        assert_close(process.velocity_from_x0(x0, x, level, alpha), n - x0)
        assert_close(process.score_from_x0(x0, x, level, alpha), -n / per_sample(level, n))
        root = (alpha.square() + level.square()).sqrt()
        v = (per_sample(alpha, x) * n - per_sample(level, x) * x0) / per_sample(root, x)
        assert_close(process.v_from_x0(x0, x, level, alpha), v)


def test_halves_become_singles_and_wider_tensors_stay():
    for narrow in (torch.float16, torch.bfloat16):
        assert process.full_precision(torch.ones(2, dtype=narrow)).dtype == torch.float32
    for wide in (torch.float32, torch.float64):
        values = torch.ones(2, dtype=wide)
        assert process.full_precision(values) is values


def test_posterior_std_of_pure_noise_is_one_and_of_no_noise_zero():
    level = torch.tensor([0.0, 1.0, 1e9], dtype=DOUBLE)
    assert_close(posterior_std(level, ve(level)), torch.tensor([0, 0.5**0.5, 1], dtype=DOUBLE))
    assert posterior_std(torch.ones(1), torch.zeros(1)) == 1


@pytest.mark.parametrize(("alpha", "low", "high"), [(ve, 0.8, 3.0), (flow, 0.3, 0.8), (flow, 0, 1)])
def test_renoise_keeps_the_marginal(alpha, low, high):
    n = 50_000
    x0 = 0.5 * seeded(n, 1, seed=1) + 1
    low_level, high_level = (torch.full((n,), level, dtype=DOUBLE) for level in (low, high))
    x = per_sample(alpha(low_level), x0) * x0 + low * seeded(n, 1, seed=2)
    again = renoise(x, low_level, high_level, alpha, seeded(n, 1, seed=3))
    a = float(alpha(high_level)[0])
    assert float(again.mean()) == pytest.approx(a, abs=0.02)
    assert float(again.var()) == pytest.approx(a * a * 0.25 + high * high, rel=0.03)


@pytest.mark.parametrize("alpha", [ve, flow])
def test_renoise_variance_is_exact(alpha):
    low, high = torch.tensor([0.3], dtype=DOUBLE), torch.tensor([0.7], dtype=DOUBLE)
    kept = renoise(torch.ones(1, 1, dtype=DOUBLE), low, high, alpha, torch.zeros(1, 1).double())
    spread = renoise(torch.zeros(1, 1).double(), low, high, alpha, torch.ones(1, 1).double())
    assert_close(kept[0], alpha(high) / alpha(low))
    assert_close(kept.square() * low.square() + spread.square(), high.square()[None])


class Vp:
    """One toy eps-network seen in both coordinates: z of abar and x = z / sqrt(abar) of sigma."""

    abar, abar_next = torch.tensor(0.2, dtype=DOUBLE), torch.tensor(0.45, dtype=DOUBLE)

    def __init__(self) -> None:
        self.sigma = ((1 - self.abar) / self.abar).sqrt()
        self.sigma_next = ((1 - self.abar_next) / self.abar_next).sqrt()
        self.mix = seeded(6, 6) / 3
        self.z = seeded(1, 6, seed=1).requires_grad_()
        self.x = (self.z.detach() / self.abar.sqrt()).requires_grad_()
        self.grad_z = torch.autograd.grad(self.energy(self.x0_of(self.z)), self.z)[0]
        self.grad_x = torch.autograd.grad(self.energy(self.denoise(self.x).x0), self.x)[0]

    def eps(self, z):
        return torch.tanh(z @ self.mix)

    def energy(self, x0):
        return (x0 - 0.3).square().sum() + x0.sin().sum()

    def x0_of(self, z, eps=None):
        eps = self.eps(z) if eps is None else eps
        return (z - (1 - self.abar).sqrt() * eps) / self.abar.sqrt()

    def denoise(self, x, sigma=None):
        return Estimate(x - self.sigma * self.eps(x * self.abar.sqrt()), self.sigma[None])

    def ddim(self, x0, eps):
        return self.abar_next.sqrt() * x0 + (1 - self.abar_next).sqrt() * eps

    def euler(self, x0):
        return x0 + self.sigma_next / self.sigma * (self.x - x0)


def test_gradient_in_z_is_gradient_in_x_times_root_one_plus_sigma_squared():
    vp = Vp()
    assert_close(vp.grad_z, (1 + vp.sigma**2).sqrt() * vp.grad_x)


def test_ddim_without_noise_is_euler():
    vp = Vp()
    stepped = vp.ddim(vp.x0_of(vp.z), vp.eps(vp.z)) / vp.abar_next.sqrt()
    assert_close(stepped, vp.euler(vp.denoise(vp.x).x0))


def test_s1_forward_is_the_shift_of_eps_in_vp():
    vp = Vp()
    rule = Forward(lambda e: vp.energy(e.x0)[None], Constant(ETA), "absolute")
    x0 = guided([rule], vp.denoise, Run(ve, vp.sigma[None]))(vp.x.detach(), vp.sigma[None]).x0
    eps = vp.eps(vp.z) + ETA * (1 - vp.abar).sqrt() * vp.grad_z
    assert_close(x0, vp.x0_of(vp.z, eps))
    assert_close(vp.euler(x0), vp.ddim(vp.x0_of(vp.z, eps), eps) / vp.abar_next.sqrt())


def test_s1_prime_shift_of_eps_without_its_root():
    vp = Vp()
    x0 = vp.denoise(vp.x).x0 - ETA * vp.sigma * (1 + vp.sigma**2).sqrt() * vp.grad_x
    assert_close(x0, vp.x0_of(vp.z, vp.eps(vp.z) + ETA * vp.grad_z))


def test_s2_a_moved_x0_with_its_eps_recomputed_moves_the_step_by_a_part():
    vp, delta = Vp(), seeded(1, 6, seed=3)
    moved = vp.denoise(vp.x).moved(delta).x0
    eps = vp.eps(vp.z) - (vp.abar / (1 - vp.abar)).sqrt() * delta
    assert_close(vp.euler(moved), vp.ddim(vp.x0_of(vp.z) + delta, eps) / vp.abar_next.sqrt())
    part = (1 - vp.sigma_next / vp.sigma) * delta
    assert_close(vp.euler(moved) - vp.euler(vp.denoise(vp.x).x0), part)


def test_s3_a_moved_x0_with_its_eps_kept_moves_the_step_by_all():
    vp, delta = Vp(), seeded(1, 6, seed=3)
    stepped = vp.ddim(vp.x0_of(vp.z) + delta, vp.eps(vp.z)) / vp.abar_next.sqrt()
    x0 = vp.denoise(vp.x).x0
    assert_close(stepped, vp.euler(x0) + delta)
    assert_close(stepped, vp.euler(x0 + delta / (1 - vp.sigma_next / vp.sigma)))


def test_s4_a_shift_after_the_step():
    vp = Vp()
    stepped = vp.ddim(vp.x0_of(vp.z), vp.eps(vp.z)) - ETA * vp.grad_z
    factor = (1 + vp.sigma**2).sqrt() * (1 + vp.sigma_next**2).sqrt()
    x_next = vp.euler(vp.denoise(vp.x).x0) - ETA * factor * vp.grad_x
    assert_close(stepped / vp.abar_next.sqrt(), x_next)


def test_s5_a_shift_before_the_step():
    vp = Vp()
    z = vp.z - ETA * vp.grad_z
    assert_close(z / vp.abar.sqrt(), vp.x - ETA * (1 + vp.sigma**2) * vp.grad_x)


def test_recurrence_in_vp_is_renoise():
    vp, noise = Vp(), seeded(1, 6, seed=3)
    z_next = seeded(1, 6, seed=4)
    ratio = vp.abar / vp.abar_next
    z = ratio.sqrt() * z_next + (1 - ratio).sqrt() * noise
    levels = vp.sigma_next[None], vp.sigma[None]
    x = renoise(z_next / vp.abar_next.sqrt(), *levels, ve, noise)
    assert_close(z / vp.abar.sqrt(), x)


def test_forward_on_a_flow_shifts_the_velocity():
    vp, level = Vp(), torch.tensor([0.6], dtype=DOUBLE)

    def denoise(x, sigma):
        return Estimate(process.x0_from_velocity(vp.eps(x), x, sigma, flow(sigma)), sigma)

    rule = Forward(lambda e: vp.energy(e.x0)[None], Constant(ETA), "absolute")
    x = vp.x.detach()
    moved = guided([rule], denoise, Run(flow, level))(x, level).x0
    tracked = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(vp.energy(denoise(tracked, level).x0), tracked)
    velocity = vp.eps(x) + ETA * 0.6 / (1 - 0.6) * grad
    assert_close(process.velocity_from_x0(moved, x, level, flow(level)), velocity)


def posterior_of_ddpm(sigma: float, following: float, alpha) -> torch.Tensor:
    """Noise of DDPM's step, Ho et al. 2020, eq. (7): beta~ of z = x / r, in units of x."""
    signal, wide = [], []
    for level in torch.tensor([[sigma], [following]], dtype=DOUBLE):
        square = alpha(level).square() + level.square()
        signal.append(alpha(level).square() / square)
        wide.append(square.sqrt())
    beta = 1 - signal[0] / signal[1]
    return wide[1] * ((1 - signal[1]) / (1 - signal[0]) * beta).sqrt()


@pytest.mark.parametrize(
    ("alpha", "sigma", "following"),
    [
        *[(ve, *pair) for pair in ((14.6, 9.0), (3.0, 0.8), (0.5, 0.4), (2.0, 0.0))],
        *[(flow, *pair) for pair in ((0.95, 0.9), (0.8, 0.4), (0.3, 0.1), (0.5, 0.0))],
    ],
)
def test_noise_of_an_ancestral_step_is_that_of_ddpm(alpha, sigma, following):
    levels = torch.tensor([[sigma], [following]], dtype=DOUBLE)
    expected = posterior_of_ddpm(sigma, following, alpha)
    assert_close(process.ancestral_noise(*levels, alpha)[1], expected)


def test_an_ancestral_step_from_pure_noise_of_a_flow_draws_all_noise_anew():
    """No signal is left of x0 in x: what the step knows of the noise there, it forgets."""
    top, following = torch.tensor([1.0, 1.0]).double(), torch.tensor([0.9, 0.2]).double()
    assert_close(process.ancestral_noise(top, following, flow)[1], following)


@pytest.mark.parametrize("alpha", [ve, flow])
def test_a_step_that_rises_adds_no_ancestral_noise(alpha):
    low, high = torch.tensor([0.3]).double(), torch.tensor([0.6]).double()
    assert process.ancestral_noise(low, high, alpha)[1] == 0


@pytest.mark.parametrize("alpha", [ve, flow])
def test_the_noise_that_an_ancestral_step_keeps_is_correlated_as_noising_up_correlates(alpha):
    """cov(x, x_next | x0) = a sigma_next^2 where x = a x_next + noise, by `renoise`."""
    sigma, following = torch.tensor([0.8]).double(), torch.tensor([0.5]).double()
    _, added = process.ancestral_noise(sigma, following, alpha)
    kept = (following.square() - added.square()).sqrt()
    one, none = torch.ones(1, 1).double(), torch.zeros(1, 1).double()
    factor = renoise(one, following, sigma, alpha, none)[0]
    assert_close(kept * sigma, factor * following.square())
