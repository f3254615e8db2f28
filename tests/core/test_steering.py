"""What all rules share: where they work, the step they take, and the record of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from guidance_core.energies.scheduled import Scheduled
from guidance_core.schedules import Constant, Window
from guidance_core.shaping import rms, unit_rms
from guidance_core.steering import check_rule, has_work, strength_at, take_step, unit_step
from tests.core.toys import Model, assert_close, latent, levels, run_with, toward

TWO = Constant(2.0)


@dataclass(frozen=True)
class Rule:
    energy: Any = None
    strength: Any = TWO
    scale: str = "relative"
    look_at: str = "positive"
    stop: float = 0.0


def test_a_rule_works_where_its_strength_and_its_energy_do():
    late = Scheduled(toward(), Window(1.0, 0.0))
    for rule, high, low in (
        (Rule(toward()), 2.0, 2.0),
        (Rule(late), 0.0, 2.0),
        (Rule(toward(), Window(3.0, 1.5)), 1.0, 0.0),
        (Rule(late, Window(3.0, 1.5)), 0.0, 0.0),
    ):
        assert strength_at(rule, levels(2.0)) == high
        assert strength_at(rule, levels(1.0)) == low
        assert has_work(rule, 2.0) == (high > 0)
    assert has_work(object(), 1.0)


def test_a_step_moves_the_estimate_and_is_recorded():
    records = []
    estimate, delta = Model()(latent(), levels(1.0)), 0.1 * latent(seed=3)
    energy, grad_norm = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    run = run_with(records.append)
    moved = take_step(Rule(), estimate, delta, energy, grad_norm, run)
    assert_close(moved.x0, estimate.x0 + delta)
    (record,) = records
    assert (record.rule, record.sigma) == ("Rule", 1.0)
    assert record.energy is energy
    assert record.grad_norm is grad_norm
    assert_close(record.push, rms(delta))
    assert_close(record.cfg_push, rms(estimate.x0 - estimate.uncond))


def test_a_step_of_strength_one_has_the_size_of_its_scale():
    estimate, grad = Model()(latent(), levels(2.0)), latent(seed=5)
    relative = unit_step(Rule(), grad, estimate, run_with())
    assert_close(rms(relative), levels(2 / 5**0.5))
    assert_close(unit_rms(relative), unit_rms(grad))
    cfg = unit_step(Rule(scale="cfg"), grad, estimate, run_with())
    assert_close(rms(cfg), rms(estimate.x0 - estimate.uncond))
    plain = Model(cfg=False)(latent(), levels(2.0))
    with pytest.raises(RuntimeError, match="Rule with scale 'cfg'"):
        unit_step(Rule(scale="cfg"), grad, plain, run_with())


def test_bad_settings_are_refused():
    check_rule(Rule(), ("relative", "cfg"))
    with pytest.raises(ValueError, match="scale must be one of absolute, cfg, got 'relative'"):
        check_rule(Rule(), ("absolute", "cfg"))
    for stop in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="stop must be >= 0"):
            check_rule(Rule(stop=stop), ("relative",))
