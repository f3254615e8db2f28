"""Edits by a shift of the middle: steps worked out by hand for a linear denoiser."""

from __future__ import annotations

import contextlib

import pytest
import torch

from guidance_core.compose import guided, with_noise_levels
from guidance_core.procedures.teaching import Teaching
from guidance_core.process import euler_share
from guidance_core.rules.asymmetric import Asymmetric, Shift
from guidance_core.rules.backward import Backward
from guidance_core.run import Run
from guidance_core.schedules import Constant, PercentWindow, Window
from guidance_core.types import Estimate

SIGMAS = torch.tensor([4.0, 2.0, 0.5, 0.0], dtype=torch.float64)
VARIANCE, FLOW, FLOW_SIGMAS = (
    torch.ones_like,
    lambda sigma: 1 - sigma,
    torch.tensor([1.0, 0.6, 0.2, 0.0], dtype=torch.float64),
)


class LinearModel:
    """D(x, sigma) = 0.3 x / (1 + sigma) + h, with h = 0 in the middle."""

    def __init__(self):
        self.shift, self.seen = None, []

    @contextlib.contextmanager
    def shared(self, *, slope=True):
        yield

    @contextlib.contextmanager
    def shifted(self, change):
        self.shift = change
        try:
            yield
        finally:
            self.shift = None

    def __deepcopy__(self, memo):
        return self

    def __call__(self, x, sigma):
        self.seen.append(self.shift is not None)
        h = torch.zeros_like(x)
        h = h if self.shift is None else h + self.shift(h)
        return Estimate(0.3 * x / (1 + sigma.view(-1, 1, 1, 1)) + h, sigma)


def one(value, strength=1.0, window=None):
    direction = lambda h, sigma: torch.full_like(h[:1], value * (1 + sigma))
    return Shift(direction, strength, Constant() if window is None else window)


def start(sigma, rows=2):
    generator = torch.Generator().manual_seed(3)
    x = sigma * torch.randn(rows, 4, 3, 3, generator=generator, dtype=torch.float64)
    return x, torch.full((rows,), sigma, dtype=torch.float64)


def euler(x, x0, sigma, following):
    return x + (following - sigma) * (x - x0) / sigma


@pytest.mark.parametrize(
    ("alpha", "sigmas"), [(VARIANCE, SIGMAS), (FLOW, FLOW_SIGMAS)], ids=["eps", "flow"]
)
@pytest.mark.parametrize("step", [0, 1, 2])
def test_an_euler_step_takes_x0_of_the_shifted_model_and_the_noise_of_the_plain_one(
    alpha, sigmas, step
):
    model, (level, following) = LinearModel(), sigmas[step : step + 2].tolist()
    run = Run(alpha, sigmas)
    x, sigma = start(level)
    found = guided([Asymmetric((one(0.7),), model)], model, run)(x, sigma).x0
    plain = 0.3 * x / (1 + level)
    shifted = plain + 0.7 * (1 + level)
    a, a_next = float(alpha(sigmas)[step]), float(alpha(sigmas)[step + 1])
    noise = (x - a * plain) / level
    by_hand = a_next * shifted + following * noise
    torch.testing.assert_close(euler(x, found, level, following), by_hand, rtol=1e-12, atol=1e-12)
    # Asyrp in k-space: the step of the model itself, plus the change of x0.
    step_of_model = euler(x, plain, level, following)
    torch.testing.assert_close(by_hand, step_of_model + a_next * (shifted - plain))
    assert model.seen == [True, False]


def test_no_shift_is_the_model_itself_bit_for_bit():
    model, run = LinearModel(), Run(VARIANCE, SIGMAS)
    x, sigma = start(2.0)
    stock = model(x, sigma).x0
    for shifts in ((), (one(0.7, 0.0),), (one(0.7, 1.0, Window(1.0, 0.0)),)):
        assert torch.equal(guided([Asymmetric(shifts, model)], model, run)(x, sigma).x0, stock)
    # A shift of zeros costs a pass and changes nothing.
    assert torch.equal(guided([Asymmetric((one(0.0),), model)], model, run)(x, sigma).x0, stock)


def test_shifts_of_several_edits_are_summed_in_one_pass():
    model, run = LinearModel(), Run(VARIANCE, SIGMAS)
    x, sigma = start(2.0)
    both = Asymmetric((one(0.7), one(-0.2, 2.0)), model)
    sum_of_both = Asymmetric((one(0.3),), model)
    first = guided([both], model, run)(x, sigma).x0
    assert model.seen == [True, False]
    torch.testing.assert_close(first, guided([sum_of_both], model, run)(x, sigma).x0)


def test_windows_are_positions_in_the_schedule():
    window = PercentWindow(0.0, 0.5)
    rule = with_noise_levels(
        Asymmetric((one(0.7, 1.0, window),), LinearModel(), PercentWindow(0.9, 1.0)),
        lambda percent: 10 * (1 - percent),
    )
    levels = (9.0, 5.1, 5.0, 1.1, 0.9, 0.5)
    assert [rule.strength(level) for level in levels] == [1, 1, 0, 0, 1, 1]
    assert [bool(rule._active(level)) for level in levels] == [True, True, *[False] * 4]


@pytest.mark.parametrize(
    ("alpha", "sigmas"), [(VARIANCE, SIGMAS), (FLOW, FLOW_SIGMAS)], ids=["eps", "flow"]
)
def test_a_boosted_step_is_ancestral_and_keeps_the_variance(alpha, sigmas):
    # eta 1 of DDIM in its own words: z' = sqrt(a') x0 + sqrt(1 - a' - s^2) n + s n', with
    # s^2 = (1 - a') / (1 - a) (1 - a / a'), of z = x / sqrt(alpha^2 + sigma^2).
    level, following = sigmas[1:3].tolist()
    model, run = LinearModel(), Run(alpha, sigmas, seed=7)
    x, sigma = start(level)
    found = guided([Asymmetric((), model, Constant())], model, run)(x, sigma).x0
    a, a_next = (float(alpha(sigmas)[k]) for k in (1, 2))
    r, r_next = (a**2 + level**2) ** 0.5, (a_next**2 + following**2) ** 0.5
    bar, bar_next = (a / r) ** 2, (a_next / r_next) ** 2
    spread = ((1 - bar_next) / (1 - bar) * (1 - bar / bar_next)) ** 0.5
    plain = 0.3 * x / (1 + level)
    noise = (x - a * plain) / level
    z = bar_next**0.5 * plain + (1 - bar_next - spread**2) ** 0.5 * noise
    z = z + spread * run.noise(x, level)
    torch.testing.assert_close(euler(x, found, level, following), r_next * z)
    alone = guided([Asymmetric((), model, Constant())], model, run)(x[:1], sigma[:1]).x0
    assert torch.equal(alone, found[:1])


def test_the_last_step_is_the_shifted_estimate():
    model, run = LinearModel(), Run(VARIANCE, SIGMAS)
    x, sigma = start(0.5)
    rule = Asymmetric((one(0.7),), model, Constant())
    found = guided([rule], model, run)(x, sigma).x0
    torch.testing.assert_close(found, 0.3 * x / 1.5 + 0.7 * 1.5)


def test_rules_around_it_see_the_edited_estimate_and_the_step_carries_both():
    model, run, seen = LinearModel(), Run(VARIANCE, SIGMAS), []

    def energy(estimate):
        seen.append(estimate.x0.detach().clone())
        return estimate.x0.square().flatten(1).sum(1)

    x, sigma = start(2.0)
    edit = Asymmetric((one(0.7),), model)
    push = Backward(energy, Constant(0.5), steps=1)
    found = guided([edit, push], model, run)(x, sigma).x0
    shifted = 0.3 * x / 3 + 0.7 * 3
    torch.testing.assert_close(seen[0], shifted)
    alone = guided([push], lambda x, sigma: Estimate(shifted, sigma), run)(x, sigma).x0 - shifted
    edited = guided([edit], model, run)(x, sigma).x0
    torch.testing.assert_close(found, edited + alone)
    assert euler_share(2.0, 0.5) == 0.75


@pytest.mark.parametrize(
    ("alpha", "sigmas"), [(VARIANCE, SIGMAS), (FLOW, FLOW_SIGMAS)], ids=["eps", "flow"]
)
def test_what_the_other_prompt_asks_for_is_learned_so_that_the_step_is_that_of_its_run(
    alpha, sigmas
):
    # The other prompt adds 0.4 to x0; a shift that has learned it makes Euler's step with it.
    level, following = sigmas[1:3].tolist()
    model, run, losses = LinearModel(), Run(alpha, sigmas), []
    x, sigma = start(level)
    plain = 0.3 * x / (1 + level)

    @contextlib.contextmanager
    def asked():
        before, model.shift = model.shift, lambda h: torch.full_like(h, 0.4)
        yield
        model.shift = before

    def taught(value):
        shift = lambda h, sigma: torch.full_like(h, value)
        rule = Teaching(None, shift, losses.append, model, Constant(), asked)
        return guided([rule], model, run)(x, sigma).x0

    a_next = float(alpha(sigmas)[2])
    learned = 0.4 * euler_share(level, following) / a_next
    for value in (0.0, 0.1, learned):
        found = euler(x, taught(value), level, following)
        by_hand = euler(x, plain, level, following) + a_next * value
        torch.testing.assert_close(found, by_hand)
        wrong = torch.full((2,), (0.4 * (value / learned - 1)) ** 2)
        torch.testing.assert_close(losses.pop(), wrong, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found, euler(x, plain + 0.4, level, following))
