"""The laws that every rule obeys, and those of each."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from itertools import permutations

import pytest
import torch
from torch import Tensor

from guidance_core.captures import Attention
from guidance_core.compose import guided
from guidance_core.process import per_sample, posterior_std
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.manifold import Manifold
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.unified import Unified
from guidance_core.schedules import Constant, Window
from guidance_core.shaping import rms
from guidance_core.trace import Trace
from tests.core.toys import (
    DOUBLE,
    Model,
    assert_close,
    latent,
    levels,
    run_with,
    seeded,
    toward,
)
from tests.ground_truth import flow

SIGMA = 1.5


def half() -> Constant:
    return Constant(0.5)


CASES = {
    "forward relative": Forward(toward(), half()),
    "forward absolute": Forward(toward(), Constant(0.05), "absolute"),
    "forward cfg": Forward(toward(), half(), "cfg"),
    "backward adam": Backward(toward(), half()),
    "backward gd": Backward(toward(), half(), optimiser="gd"),
    "backward adam absolute": Backward(toward(), half(), "absolute"),
    "backward gd absolute": Backward(toward(), half(), "absolute", optimiser="gd"),
    "backward polyak": Backward(toward(), half(), optimiser="polyak"),
    "manifold relative": Manifold(toward(), half()),
    "manifold absolute": Manifold(toward(), Constant(0.05), "absolute"),
    "manifold cfg": Manifold(toward(), half(), "cfg"),
    "posterior relative": Posterior(toward(), half()),
    "posterior absolute": Posterior(toward(), half(), "absolute"),
    "posterior cfg": Posterior(toward(), half(), "cfg"),
    "posterior spherical": Posterior(toward(), Constant(1), "spherical"),
    "unified relative": Unified(toward(), half()),
    "unified absolute": Unified(toward(), Constant(0.05), "absolute", mu=0.2, course="increase"),
    "unified cfg": Unified(toward(), half(), "cfg"),
    "unified smoothed": Unified(toward(), half(), gamma=0.1, samples=3),
    "unified at the estimate": Unified(toward(), half(), rho=0.0, mu=1.0, course="decrease"),
}
EACH = pytest.mark.parametrize("rule", CASES.values(), ids=CASES.keys())


def steered(*rules, model=None, x=None, sigma=SIGMA, record=None, alpha=torch.ones_like) -> Tensor:
    x = latent() if x is None else x
    run = run_with(record, alpha)
    return guided(rules, model or Model(), run)(x, levels(sigma, x.shape[0])).x0


class Maps:
    """An energy of attention maps."""

    captures = frozenset({Attention()})

    def __call__(self, estimate):
        return estimate.capture(Attention()).flatten(1).sum(1)


def plain(x=None, sigma=SIGMA) -> Tensor:
    x = latent() if x is None else x
    return Model()(x, levels(sigma, x.shape[0])).x0


def never(estimate):
    raise AssertionError("the energy was evaluated")


@EACH
@pytest.mark.parametrize("schedule", [Constant(0), Window(9, 2), Window(SIGMA / 2, 0)])
def test_strength_zero_is_no_guidance_bit_for_bit(rule, schedule):
    quiet = replace(rule, strength=schedule, energy=never)
    assert torch.equal(steered(quiet), plain())


DOWNWARDS = {name: rule for name, rule in CASES.items() if name != "posterior spherical"}


@pytest.mark.parametrize("rule", DOWNWARDS.values(), ids=DOWNWARDS.keys())
def test_moves_x0_down_its_energy(rule):
    estimate = guided([rule], Model(), run_with())(latent(), levels(SIGMA))
    before = toward()(Model()(latent(), levels(SIGMA)))
    assert (toward()(estimate) < before).all()
    assert not estimate.x0.requires_grad


@EACH
def test_sample_alone_equals_sample_in_batch(rule):
    batch, x = steered(rule, x=latent(3)), latent(3)
    for i in range(3):
        assert torch.equal(steered(rule, x=x[i : i + 1]), batch[i : i + 1])


@EACH
def test_a_sample_of_another_size_does_not_change_its_neighbours(rule):
    x = latent(2)
    louder = torch.cat([x[:1], 1e3 * x[1:]])
    assert torch.equal(steered(rule, x=x)[0], steered(rule, x=louder)[0])


@EACH
def test_recording_changes_nothing_and_is_truthful(rule):
    trace = Trace()
    guided_x0 = steered(rule, record=trace)
    assert torch.equal(guided_x0, steered(rule, record=lambda record: None))
    (row,) = trace.rows
    assert row["rule"] == type(rule).__name__
    assert row["sigma"] == SIGMA
    assert_close(torch.tensor(row["push"], dtype=DOUBLE), rms(guided_x0 - plain()))
    if not getattr(rule, "gamma", 0):
        assert_close(
            torch.tensor(row["energy"], dtype=DOUBLE), toward()(Model()(latent(), levels(SIGMA)))
        )
    cfg = Model()(latent(), levels(SIGMA))
    assert_close(torch.tensor(row["cfg_push"], dtype=DOUBLE), rms(cfg.x0 - cfg.uncond))


@EACH
def test_two_runs_are_identical_and_the_prototype_is_untouched(rule):
    before = copy.deepcopy(vars(rule))
    assert torch.equal(steered(rule), steered(rule))
    assert vars(rule).keys() == before.keys()


@EACH
def test_works_on_five_axes(rule):
    x = seeded(2, 4, 3, 5, 6)
    assert steered(rule, x=x).shape == x.shape


STACK = ("forward relative", "backward adam", "manifold relative", "unified smoothed")


@pytest.mark.parametrize("order", list(permutations(STACK)))
def test_stack_evaluates_the_model_once_in_every_order(order):
    stack = [CASES[name] for name in order]
    model = Model()
    x0 = steered(*stack, model=model)
    assert model.calls == 1
    assert not x0.requires_grad
    assert not torch.equal(x0, plain())


def test_rules_stack_with_themselves():
    for rule in CASES.values():
        model, record = Model(), Trace()
        steered(rule, rule, rule, model=model, record=record)
        assert model.calls == 1
        assert len(record.rows) == 3


def gap_of_stack(strength: float) -> float:
    first, second = toward(0.5), toward(-2.0)
    both = [Forward(e, Constant(strength), "absolute") for e in (first, second)]
    total = Forward(lambda e: first(e) + second(e), Constant(strength), "absolute")
    return float((steered(*both) - steered(total)).norm())


def test_stacked_forward_equals_summed_energy_to_first_order_in_strength():
    assert gap_of_stack(2e-3) / gap_of_stack(1e-3) == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize("alpha", [torch.ones_like, flow])
@pytest.mark.parametrize("sigma", [0.3, 0.9])
def test_relative_push_of_forward_is_strength_times_posterior_std(alpha, sigma):
    push = rms(steered(CASES["forward relative"], sigma=sigma, alpha=alpha) - plain(sigma=sigma))
    level = levels(sigma)
    assert_close(push, 0.5 * posterior_std(level, alpha(level)))


def test_relative_push_is_finite_where_a_flow_is_all_noise():
    push = rms(steered(CASES["forward relative"], sigma=1.0, alpha=flow) - plain(sigma=1.0))
    assert_close(push, torch.full_like(push, 0.5))
    absolute = steered(CASES["forward absolute"], sigma=1.0, alpha=flow)
    assert absolute.isfinite().all()


@pytest.mark.parametrize(
    "name",
    [
        *("forward relative", "forward cfg", "backward adam", "backward gd", "manifold relative"),
        *("posterior spherical", "unified relative"),
    ],
)
@pytest.mark.parametrize("exponent", [-30, 30])
def test_relative_push_does_not_know_the_units_of_its_energy(name, exponent):
    rule = CASES[name]
    scaled = replace(rule, energy=toward(weight=2.0**exponent))
    torch.testing.assert_close(steered(scaled), steered(rule), rtol=1e-6, atol=1e-9)


def test_cfg_scale_measures_by_the_push_of_cfg():
    estimate = Model()(latent(), levels(SIGMA))
    push = rms(steered(CASES["forward cfg"]) - plain())
    assert_close(push, 0.5 * rms(estimate.x0 - estimate.uncond))


def test_cfg_scale_without_cfg_says_what_to_do():
    with pytest.raises(RuntimeError, match="raise CFG above 1 or use scale 'relative'"):
        steered(CASES["forward cfg"], model=Model(cfg=False))


@pytest.mark.parametrize("weight", [1e-3, 1.0, 1e3])
def test_polyaks_steps_ignore_the_energys_unit_and_halve_a_quadratics_distance(weight):
    energy = lambda estimate: weight * toward()(estimate)
    rule = Backward(energy, Constant(1.0), "absolute", steps=3, optimiser="polyak")
    assert_close(steered(rule), 0.5 + 0.5**3 * (plain() - 0.5))


def test_polyaks_push_is_bounded_in_the_relative_scale():
    limit = 0.5 * posterior_std(levels(SIGMA), torch.ones(2).double())
    far = lambda estimate: toward()(estimate) + 1e6
    pushed = steered(Backward(far, half(), optimiser="polyak", steps=9))
    assert_close(rms(pushed - plain()), limit)
    inward = -(toward()(Model()(latent(), levels(SIGMA))).detach() >= 0).double()
    assert ((pushed - plain()) * (plain() - 0.5)).flatten(1).sum(1).sign().equal(inward)


def test_polyaks_steps_refuse_a_negative_energy():
    rule = Backward(lambda e: -toward()(e), half(), optimiser="polyak")
    with pytest.raises(RuntimeError, match="this energy is negative: choose another optimiser"):
        steered(rule)


@pytest.mark.parametrize("optimiser", ["adam", "gd"])
@pytest.mark.parametrize("steps", [1, 3, 20])
def test_relative_push_of_backward_is_bounded(optimiser, steps):
    def hill(estimate):
        return -toward()(estimate).square()

    rule = Backward(hill, half(), steps=steps, optimiser=optimiser)
    limit = 0.5 * posterior_std(levels(SIGMA), torch.ones(2).double())
    push = rms(steered(rule) - plain())
    assert (push <= limit * (1 + 1e-9)).all()
    assert (push >= limit * 0.5).all()


def test_backward_descends_a_quadratic_as_gradient_descent_does():
    rule = Backward(toward(), Constant(1.0), "absolute", steps=3, optimiser="gd", lr=0.2)
    assert_close(steered(rule), 0.5 + (1 - 0.2) ** 3 * (plain() - 0.5))


def test_strength_of_absolute_backward_multiplies_the_total():
    whole = Backward(toward(), Constant(1.0), "absolute")
    part = replace(whole, strength=Constant(0.25))
    assert_close(steered(part) - plain(), 0.25 * (steered(whole) - plain()))


@pytest.mark.parametrize("steps", [1, 5])
def test_backward_takes_the_steps_of_adam(steps):
    x0 = torch.nn.Parameter(plain())
    adam = torch.optim.Adam([x0], lr=0.03)
    for _ in range(steps):
        adam.zero_grad()
        (0.5 * (x0 - 0.5).square().sum()).backward()
        adam.step()
    rule = Backward(toward(), Constant(1.0), "absolute", steps=steps, lr=0.03)
    assert_close(steered(rule), x0.detach())


def test_backward_needs_no_graph_through_the_model():
    def blind(x, sigma):
        with torch.no_grad():
            return Model()(x, sigma)

    assert_close(steered(CASES["backward gd"], model=blind), steered(CASES["backward gd"]))


@EACH
def test_a_sample_that_is_done_rests_and_its_neighbour_goes_on(rule):
    energies = toward()(Model()(latent(), levels(SIGMA)))
    between = float(energies.mean())
    done = energies < between
    assert done.any()
    assert not done.all()
    moved = rms(steered(replace(rule, stop=between)) - plain()) > 0
    assert torch.equal(moved, ~done)


@pytest.mark.parametrize("name", ["forward relative", "backward gd"])
def test_push_fades_between_twice_the_stop_and_the_stop(name):
    energy = toward()(Model()(latent(1), levels(SIGMA, 1)))
    rule = CASES[name] if name.startswith("forward") else replace(CASES[name], steps=1)
    full = rms(steered(rule, x=latent(1)) - plain(latent(1)))
    faded = replace(rule, stop=float(energy) / 1.25)
    assert_close(rms(steered(faded, x=latent(1)) - plain(latent(1))), 0.25 * full)


def test_backward_stops_evaluating_when_every_sample_is_done():
    calls = []

    def energy(estimate):
        calls.append(1)
        return toward()(estimate)

    steered(Backward(energy, half(), steps=9, stop=1e9))
    assert len(calls) == 1


def test_momentum_does_not_carry_on_a_sample_that_is_met():
    calls = []

    def energy(estimate):
        calls.append(1)
        return (1 if len(calls) == 1 else 0) * toward()(estimate)

    once = steered(Backward(energy, half(), scale="absolute", steps=1))
    calls.clear()
    assert torch.equal(steered(Backward(energy, half(), scale="absolute", steps=5)), once)
    assert len(calls) == 2


def test_an_energy_at_rest_moves_nothing():
    for rule in CASES.values():
        still = replace(rule, energy=lambda e: (0 * e.x0).flatten(1).sum(1))
        assert torch.equal(steered(still), plain())


@dataclass
class Momentum:
    """A rule with state, as third parties may write one."""

    energy: object
    strength: object = field(default_factory=half)
    mean: Tensor | float = 0.0
    through_model = False

    def __call__(self, denoise, x, sigma, run):
        estimate = denoise(x, sigma)
        self.mean = 0.9 * self.mean + (0.5 - estimate.x0)
        return estimate.moved(0.1 * self.mean)


def test_state_of_a_rule_dies_with_its_run():
    rule = Momentum(toward())
    assert torch.equal(steered(rule), steered(rule))
    assert rule.mean == 0.0
    denoise = guided([rule], Model(), run_with())
    first, second = (denoise(latent(), levels(SIGMA)).x0 for _ in range(2))
    assert not torch.equal(first, second)


@EACH
def test_half_precision_models_neither_lose_nor_overflow_gradients(rule):
    def half_model(x, sigma):
        estimate = Model()(x.half().float(), sigma.float())
        small = (1e-3 * estimate.x0.half()).float() * 1e3
        return replace(estimate, x0=small.double())

    x0 = replace(rule, energy=toward(weight=1e-6 if "absolute" not in rule.scale else 1))
    assert (steered(x0, model=half_model) - half_model(latent(), levels(SIGMA)).x0).abs().sum() > 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Forward(toward(), half(), "huge"), "scale must be one of"),
        (lambda: Forward(toward(), half(), stop=-1), "stop must be >= 0, got -1"),
        (lambda: Backward(toward(), half(), "cfg"), "scale must be one of"),
        (lambda: Backward(toward(), half(), optimiser="sgd"), "optimiser must be one of"),
        (lambda: Backward(toward(), half(), steps=0), "steps must be >= 1, got 0"),
        (lambda: Backward(toward(), half(), lr=0), "lr must be > 0"),
        (lambda: Manifold(toward(), half(), "huge"), "scale must be one of"),
        (lambda: Manifold(toward(), half(), stop=-1), "stop must be >= 0, got -1"),
        (lambda: Manifold(Maps(), half()), "reads attention or features"),
        (lambda: Posterior(toward(), half(), "huge"), "scale must be one of"),
        (lambda: Posterior(toward(), half(), stop=-1), "stop must be >= 0, got -1"),
        (lambda: Unified(toward(), half(), "huge"), "scale must be one of"),
        (lambda: Unified(toward(), half(), course="up"), "course must be one of"),
        (lambda: Unified(toward(), half(), rho=-1), "need rho, mu and gamma >= 0"),
        (lambda: Unified(toward(), half(), iterations=0), "need iterations >= 1"),
        (lambda: Unified(toward(), half(), gamma=0.1), "gamma 0.1 needs samples"),
        (lambda: Unified(Maps(), half()), "reads attention or features"),
        (lambda: Unified(Maps(), half(), mu=0, gamma=1, samples=1), "reads attention or features"),
    ],
)
def test_bad_arguments_are_refused_at_once(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_deltas_are_cast_back_to_the_type_of_the_latent():
    def wide(estimate):
        return toward()(replace(estimate, x0=estimate.x0.float()))

    x = latent().bfloat16()
    for rule in CASES.values():
        run = run_with()
        estimate = guided([replace(rule, energy=wide)], Model(), run)(x, levels(SIGMA).float())
        assert estimate.x0.dtype == torch.bfloat16


def test_per_sample_noise_levels_are_used_row_by_row():
    sigma = torch.tensor([0.5, 2.0]).double()
    x0 = guided([CASES["forward relative"]], Model(), run_with())(latent(), sigma).x0
    push = rms(x0 - Model()(latent(), sigma).x0)
    assert_close(push, 0.5 * posterior_std(sigma, torch.ones(2).double()))
    assert per_sample(sigma, x0).shape == (2, 1, 1, 1)
