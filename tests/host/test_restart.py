"""A run that starts over in the middle, where what was asked is not reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import comfy.sample
import comfy.samplers
import pytest
import torch
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.host.recurrence import recurrent_model, recurrent_sampler
from energy_guidance.nodes.host.restart import restart_sampler, restarting_model
from energy_guidance.nodes.sampling.restart_sampler import RestartSampler
from energy_guidance.tests.host import tiny

pytestmark = pytest.mark.once

# Between 14 and 0.3 in the tiny model's schedule: the steps from 8, 4 and 2.
WINDOW = PercentWindow(0.05, 0.8)
SIGMAS, INSIDE = (20.0, 8.0, 4.0, 2.0, 0.2, 0.0), 3
SEED = 2


@dataclass(frozen=True)
class Wave:
    """A wave over the latent's mean, so that each try has another energy; reached at a limit."""

    limit: float | None = None
    reads_image: ClassVar[bool] = False
    networks: ClassVar[tuple] = ()
    captures: ClassVar[frozenset] = frozenset()

    def __call__(self, estimate):
        return 1 + estimate.x0.float().flatten(1).mean(1).sin()

    def reached(self, sigma):
        return self.limit


class Counted:
    """How often the model was asked, and how many steps the sampler told of."""

    def __init__(self):
        self.sigmas, self.steps = [], []

    def __call__(self, record):
        self.sigmas.append(record.sigma)


@pytest.fixture(scope="module")
def model():
    return tiny.unet()


def guided(model, trace, limit=None):
    with torch.inference_mode():
        rule = Forward(Wave(limit), PercentWindow(0.0, 1.0, value=0.5))
        return guide.apply(model, [rule], trace=trace)


@torch.inference_mode()
def sampled(model, sampler, index=(0,), steps=None, cfg=4.0):
    latent = torch.zeros(len(index), 4, 8, 8)
    noise = comfy.sample.prepare_noise(latent, SEED, list(index))
    report = None if steps is None else (lambda step, x0, x, total: steps.append((step, total)))
    conds = tiny.cond(1), tiny.cond(2)
    return comfy.sample.sample_custom(
        *(model, noise, cfg, sampler, torch.tensor(SIGMAS), *conds, latent),
        disable_pbar=True,
        seed=SEED,
        callback=report,
    )


def plain(name="euler"):
    return comfy.samplers.sampler_object(name)


def test_an_image_that_is_never_reached_is_tried_as_often_as_allowed(model):
    trace, steps = Counted(), []
    sampled(guided(model, trace), restart_sampler(plain(), 3, WINDOW), steps=steps)
    once = list(SIGMAS[:-1])
    assert trace.sigmas == pytest.approx([*once[:4], *once[1:4], *once[1:4], once[4]])
    count = len(once) + 2 * INSIDE
    assert steps == [(step, count) for step in range(count)]


@pytest.mark.parametrize("name", ["euler", "euler_ancestral", "dpmpp_2m"])
def test_the_best_try_is_kept(model, name):
    ends = []

    def trace(record):
        if record.sigma == 2.0:
            ends.append(float(record.energy[0]))

    found = sampled(guided(model, trace), restart_sampler(plain(name), 4, WINDOW))
    best = min(ends)
    assert len(set(ends)) == 4
    assert best < ends[0]
    # One for which that try is enough stops there, and ends as the same image.
    trace = Counted()
    stopped = sampled(guided(model, trace, best), restart_sampler(plain(name), 4, WINDOW))
    assert len(trace.sigmas) == len(SIGMAS) - 1 + INSIDE * ends.index(best)
    torch.testing.assert_close(stopped, found, rtol=1e-4, atol=1e-4)


def test_an_image_that_is_reached_is_not_tried_again_and_progress_ends_full(model):
    trace, steps = Counted(), []
    sampled(guided(model, trace, limit=1e6), restart_sampler(plain(), 3, WINDOW), steps=steps)
    assert trace.sigmas == pytest.approx(SIGMAS[:-1])
    most = len(SIGMAS) - 1 + 2 * INSIDE
    assert steps == [*((step, most) for step in range(1 + INSIDE)), (most - 1, most)]


def test_with_one_try_nothing_is_wrapped(model):
    sampler = plain()
    assert restart_sampler(sampler, 1, WINDOW) is sampler
    assert restarting_model(model, 1, WINDOW) is model


@pytest.mark.everywhere
@pytest.mark.parametrize("name", ["euler_ancestral", "dpmpp_2m"])
def test_without_guidance_it_is_the_stock_sampler(model, name):
    with torch.inference_mode():
        none = guide.apply(model, [Forward(Wave(), PercentWindow(0.0, 1.0, value=0.0))])
    for unguided in (model, none):
        found = sampled(unguided, restart_sampler(plain(name), 3, WINDOW))
        assert torch.equal(found, sampled(model, plain(name)))


def test_images_are_judged_where_the_rules_end(model):
    trace = Counted()
    with torch.inference_mode():
        ending = Forward(Wave(), PercentWindow(0.0, 0.4, value=0.5))
        ends = guide.apply(model, [ending], trace=trace)
    sampled(ends, restart_sampler(plain(), 2, WINDOW))
    assert trace.sigmas == pytest.approx([20.0, 8.0, 4.0, 8.0, 4.0])


def test_a_sample_alone_is_what_it_was_in_its_batch(model):
    """The others' tries cost it time, and nothing else."""
    sampler = lambda: restart_sampler(plain(), 3, WINDOW)
    ends = {}

    def trace(record):
        if record.sigma == 2.0:
            ends.setdefault("energy", record.energy.clone())

    batch = sampled(guided(model, trace), sampler(), index=(0, 1, 2))
    # Two stop at their first try and the worst goes on; none is so near that rounding decides.
    limit = float(ends["energy"].sort().values[1:].mean())
    batch = sampled(guided(model, Counted(), limit), sampler(), index=(0, 1, 2))
    for number in range(3):
        alone = sampled(guided(model, Counted(), limit), sampler(), index=(number,))
        torch.testing.assert_close(alone, batch[number : number + 1], rtol=1e-3, atol=1e-3)


def test_a_model_restarts_any_sampler_and_one_that_restarts_is_left_alone(model):
    expected = sampled(guided(model, Counted()), restart_sampler(plain(), 3, WINDOW))
    restarting = restarting_model(guided(model, Counted()), 3, WINDOW)
    assert torch.equal(sampled(restarting, plain()), expected)
    assert torch.equal(sampled(restarting, restart_sampler(plain(), 3, WINDOW)), expected)
    assert not torch.equal(sampled(guided(model, Counted()), plain()), expected)


def test_steps_may_recur_inside_of_a_try(model):
    trace, steps = Counted(), []
    recurrent = recurrent_sampler(plain(), 2, PercentWindow(0.05, 0.4))
    both = restart_sampler(recurrent, 2, WINDOW)
    expected = sampled(guided(model, trace), both, steps=steps)
    once = (8.0, 8.0, 4.0, 4.0, 2.0)
    assert trace.sigmas == pytest.approx([20.0, *once, *once, 0.2])
    assert steps == [(step, 12) for step in range(12)]
    started = restarting_model(
        recurrent_model(guided(model, Counted()), 2, PercentWindow(0.05, 0.4)), 2, WINDOW
    )
    assert torch.equal(sampled(started, plain()), expected)


def test_a_sampler_that_starts_over_cannot_recur():
    restarting = restart_sampler(plain(), 2, WINDOW)
    with pytest.raises(ValueError, match="put Restart Sampler behind"):
        recurrent_sampler(restarting, 2)


@pytest.mark.parametrize("tries", [0, -1])
def test_fewer_than_one_try_is_refused(tries):
    with pytest.raises(ValueError, match="tries must be >= 1"):
        restart_sampler(plain(), tries, WINDOW)


def test_a_sampler_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="restart needs a SAMPLER of the host's own kind"):
        restart_sampler(object(), 2, WINDOW)


@pytest.mark.everywhere
def test_the_node_wraps_a_sampler(model):
    (sampler,) = RestartSampler.execute(plain(), 3, 0.05, 0.8).args
    expected = sampled(guided(model, Counted()), restart_sampler(plain(), 3, WINDOW))
    assert torch.equal(sampled(guided(model, Counted()), sampler), expected)
    assert "must be smaller" in RestartSampler.validate_inputs(0.8, 0.8)
    assert RestartSampler.validate_inputs(0.1, 0.8) is True
