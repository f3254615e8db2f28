"""Initial noise: the search against closed forms, its divergence, and how often it looks."""

from __future__ import annotations

import math

import pytest
import torch

from guidance_core.compose import guided
from guidance_core.noise import seeded_noise
from guidance_core.procedures.initial_noise import MOVES, NoiseSearch, kl, ray, with_moments_of
from guidance_core.procedures.noise_seeking import NoiseSeeking
from guidance_core.procedures.white_noise import moment_divergence, self_correlation
from tests.core.toys import DOUBLE, Model, assert_close, levels, run_with, seeded, toward
from tests.ground_truth import flow

SHAPE = (2, 4, 5, 6)
EACH = pytest.mark.parametrize("moves", MOVES)


def drawn(number, rows=range(2)):
    like = torch.zeros(len(rows), *SHAPE[1:], dtype=DOUBLE)
    return seeded_noise(like, 3, number, numbers=list(rows))


def linear(noise, *, slope):
    """The mean of one channel: its minimum under a divergence is known."""
    grad = torch.zeros_like(noise)
    grad[:, 0] = 1 / noise[0, 0].numel()
    return noise[:, 0].flatten(1).mean(1), grad if slope else None


class Counting:
    def __init__(self, look=linear):
        self.look, self.calls, self.slopes = look, 0, 0

    def __call__(self, noise, *, slope):
        self.calls, self.slopes = self.calls + 1, self.slopes + slope
        return self.look(noise, slope=slope)


def test_the_divergence_is_torchs_own():
    shift, log_variance = seeded(*SHAPE, seed=1), seeded(*SHAPE, seed=2)
    moved = torch.distributions.Normal(shift, (log_variance / 2).exp())
    plain = torch.distributions.Normal(torch.zeros_like(shift), torch.ones_like(shift))
    wanted = torch.distributions.kl_divergence(moved, plain).flatten(1).mean(1)
    assert_close(kl(shift, log_variance), wanted)


def test_along_the_ray_the_limit_is_met_from_below_and_rows_inside_stay():
    shift, log_variance = seeded(*SHAPE, seed=1), seeded(*SHAPE, seed=2)
    shift[1], log_variance[1] = shift[1] * 1e-3, log_variance[1] * 1e-3
    factor = ray(shift, log_variance, 0.01)
    there = kl(shift * factor[:, None, None, None], log_variance * factor[:, None, None, None])
    assert float(factor[1]) == 1.0
    assert float(there[0]) == pytest.approx(0.01, rel=1e-6)
    assert float(there[0]) <= 0.01


def test_a_shift_alone_has_the_closed_form_of_its_square():
    shift = torch.full(SHAPE, 0.3, dtype=DOUBLE)
    zero = torch.zeros_like(shift)
    assert_close(kl(shift, zero), torch.full((2,), 0.045, dtype=DOUBLE))
    # shift^2 / 2 = limit along the ray.
    wanted = math.sqrt(2 * 0.005) / 0.3
    assert float(ray(shift, zero, 0.005)[0]) == pytest.approx(wanted, rel=1e-9)


def test_mean_and_variance_reach_the_largest_fall_that_the_divergence_allows():
    """Of a linear energy with the draw's own channel as the other coefficient.

    Where the variance cannot help (a draw of zeros), the least mean of one channel in four under
    a divergence of d nats a value is -sqrt(2 d * 4).
    """
    search = NoiseSearch(MOVES[0], 200, 1, 0.01, -math.inf, 0.002)
    found = search.run(linear, lambda number: torch.zeros(SHAPE, dtype=DOUBLE))
    assert found.energy[0] == pytest.approx(-math.sqrt(2 * 0.002 * 4), rel=1e-3)
    assert found.divergence[0] == pytest.approx(0.002, rel=1e-3)


@EACH
def test_the_divergence_stays_under_its_limit_and_the_noise_stays_white(moves):
    like = torch.zeros(2, 4, 32, 32, dtype=DOUBLE)
    draw = lambda number: seeded_noise(like, 5, number)
    search = NoiseSearch(moves, 50, 1, 0.01, -math.inf, 0.001)
    found = search.run(linear, draw)
    assert (found.energy < found.first - 0.03).all()
    assert (found.divergence <= 0.001).all()
    assert (moment_divergence(found.noise) < moment_divergence(draw(0)) + 0.002).all()
    correlation = lambda n: self_correlation(n, torch.Generator().manual_seed(0))
    others = torch.stack([correlation(seeded_noise(like, 6, k)) for k in range(30)])
    assert (correlation(found.noise) < others.amax()).all()


def test_noise_that_is_moved_itself_keeps_its_moments():
    found = NoiseSearch(MOVES[1], 5, 1, 0.05, -math.inf, 0.01).run(linear, drawn)
    flat = lambda values: values.flatten(1)
    assert_close(flat(found.noise).mean(1), flat(drawn(0)).mean(1))
    assert_close(flat(found.noise).var(1), flat(drawn(0)).var(1))
    again = with_moments_of(drawn(0), 3 * drawn(0) + 2)
    assert_close(again, drawn(0))


@EACH
def test_a_threshold_that_is_reached_costs_one_look_and_changes_nothing(moves):
    look = Counting()
    found = NoiseSearch(moves, 10, 5, threshold=1e9).run(look, drawn)
    assert (look.calls, found.looks) == (1, 1)
    # Where the shift is 0 the moments are put back up to rounding.
    assert_close(found.noise, drawn(0))


def test_looks_are_counted_and_the_last_of_a_round_takes_no_slope():
    look = Counting()
    found = NoiseSearch(MOVES[0], 3, 4, threshold=-1e9).run(look, drawn)
    assert (look.calls, look.slopes, found.looks) == (4 * 4, 4 * 3, 16)
    look = Counting()
    NoiseSearch(MOVES[0], 0, 4, threshold=-1e9).run(look, drawn)
    assert (look.calls, look.slopes) == (4, 0)


def test_without_moves_the_best_of_the_draws_is_kept():
    draws = torch.stack([linear(drawn(k), slope=False)[0] for k in range(6)])
    found = NoiseSearch(MOVES[0], 0, 6, threshold=-1e9).run(linear, drawn)
    best = draws.argmin(0)
    assert_close(found.energy, draws.amin(0))
    assert torch.equal(found.rounds, best + 1)
    wanted = torch.stack([drawn(int(k))[i] for i, k in enumerate(best)])
    assert torch.equal(found.noise, wanted)


@EACH
def test_sample_alone_equals_sample_in_batch_where_one_is_done_before_the_other(moves):
    alone = lambda i: lambda number: drawn(number, [i])
    first = linear(drawn(0), slope=False)[0]
    limit = float(first.min()) - 0.01
    search = NoiseSearch(moves, 6, 3, 0.01, limit, 0.001)
    batch = search.run(linear, drawn)
    for i in range(2):
        one = search.run(linear, alone(i))
        assert torch.equal(one.noise[0], batch.noise[i])
        assert one.rounds[0] == batch.rounds[i]
    assert batch.looks > 1


def seeking(search, model=None, unit=3.0, sigma=2.0):
    """What the rule finds where the model is evaluated at x = unit * n."""
    found, model = [], model or Model()
    rule = NoiseSeeking(toward(), search, drawn, unit, found.append)
    x = unit * drawn(0)
    estimate = guided([rule], model, run_with())(x, levels(sigma))
    return found[0], estimate, model


def test_the_rule_looks_where_the_noise_is():
    search = NoiseSearch(MOVES[0], 4, 2, 0.02, -1e9, 0.01)
    found, _, model = seeking(search)
    at = lambda noise: toward()(Model()(3.0 * noise, levels(2.0)))
    assert_close(found.first, at(drawn(0)))
    assert_close(found.energy, at(found.noise))
    assert (found.energy < found.first).all()
    assert model.calls == found.looks == 10


@pytest.mark.parametrize("alpha", [torch.ones_like, flow])
def test_a_look_ahead_is_taken_after_steps_of_euler(alpha):
    """In a run of 0.9, 0.6, 0.3, 0; a look further ahead than that stays at 0.3."""
    search, sigmas, model = (
        NoiseSearch(MOVES[0], 0, 1, threshold=-1e9),
        (0.9, 0.6, 0.3, 0.0),
        Model(),
    )
    x = 3.0 * drawn(0)
    for ahead in range(4):
        found = []
        rule = NoiseSeeking(toward(), search, drawn, 3.0, found.append, ahead=ahead)
        guided([rule], Model(), run_with(alpha=alpha, sigmas=sigmas))(3.0 * drawn(0), levels(0.9))
        wanted = toward()(model(x, levels(sigmas[min(ahead, 2)])))
        assert_close(found[0].energy, wanted)
        if ahead < 2:
            # dx/dsigma = (x - x0) / sigma.
            slope = (x - model(x, levels(sigmas[ahead])).x0) / sigmas[ahead]
            x = x + (sigmas[ahead + 1] - sigmas[ahead]) * slope


@pytest.mark.parametrize(("ahead", "iterations"), [(-1, 0), (2, 3)])
def test_a_look_ahead_takes_no_gradient(ahead, iterations):
    search = NoiseSearch(MOVES[0], iterations)
    with pytest.raises(ValueError, match="ahead"):
        NoiseSeeking(toward(), search, drawn, 1.0, lambda found: None, ahead=ahead)


def test_the_rules_slope_is_that_of_finite_differences():
    seen = []

    class Spy(NoiseSearch):
        def run(self, look, draw, report=None):
            seen.append(look)
            return super().run(look, draw)

    seeking(Spy(MOVES[0], 1, 1, threshold=-1e9), Model(cfg=False))
    noise, step = drawn(0), 1e-6 * seeded(*SHAPE, seed=4)
    with torch.no_grad():
        _, grad = seen[0](noise, slope=True)
        up, _ = seen[0](noise + step, slope=False)
        down, _ = seen[0](noise - step, slope=False)
    wanted = (grad * step).flatten(1).sum(1)
    torch.testing.assert_close((up - down) / 2, wanted, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"moves": "other"}, "moves must be one of"),
        ({"iterations": -1}, "iterations must be >= 0"),
        ({"rounds": 0}, "rounds >= 1"),
        ({"rate": 0.0}, "rate must be > 0"),
        ({"divergence": -1.0}, "divergence >= 0"),
    ],
)
def test_bad_arguments_are_refused_at_once(settings, words):
    with pytest.raises(ValueError, match=words):
        NoiseSearch(**settings)
