"""Initial noise sought through the host: what a stock sampler then makes of it."""

from __future__ import annotations

import re

import comfy.sample
import pytest
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from energy_guidance.guidance_core.attention.words import Word
from energy_guidance.guidance_core.energies.color import MeanColor
from energy_guidance.guidance_core.energies.presence import Presence
from energy_guidance.guidance_core.procedures.initial_noise import MOVES
from energy_guidance.guidance_core.rules.latent_update import LatentUpdate
from energy_guidance.guidance_core.schedules import Constant, PercentThresholds
from energy_guidance.guidance_core.trace import Trace
from energy_guidance.nodes.host import guide, shapes
from energy_guidance.nodes.sampling.initial_noise import InitialNoise
from energy_guidance.tests.host import tiny

pytestmark = pytest.mark.once

ENERGY = Presence((Word("a", (1,)), Word("b", (3,))))


@pytest.fixture(scope="module")
def eps():
    return tiny.unet()


def optimised(model, batch=2, channels=4, positive=None, **widgets):
    """NOISE, LATENT and report of the node; `latent` is filled up where it is not given."""
    defaults = {
        i.id: i.default for i in InitialNoise.define_schema().inputs if hasattr(i, "default")
    }
    latent = widgets.pop("latent", tiny.latent(batch, channels=channels))
    asked = {"energy": ENERGY, "latent_image": latent, "seed": 1, "threshold": -9.0, **widgets}
    with torch.inference_mode():
        positive = positive or tiny.cond(1)
        return InitialNoise.execute(
            **{**defaults, "model": model, "positive": positive, **asked}
        ).args


def first_energies(model, noise):
    """What the energy of a stock run is at its first step, (B,)."""
    trace = Trace()
    watched = guide.apply(model, [LatentUpdate(ENERGY, Constant(1e-12))], trace=trace)
    tiny.sample(watched, 2, batch=len(noise), noise=noise.clone())
    return torch.tensor(trace.rows[0]["energy"])


@pytest.mark.parametrize("moves", MOVES)
def test_a_stock_sampler_begins_at_the_energy_that_was_found(eps, moves):
    noise, _, report = optimised(eps, rounds=2, iterations=3, moves=moves, divergence=0.01)
    drawn = comfy.sample.prepare_noise(tiny.latent(2)["samples"], 1)
    before = first_energies(eps, drawn)
    after = first_energies(eps, noise.generate_noise(tiny.latent(2)))
    assert (after < before).all()
    for number, pair in enumerate(zip(before, after, strict=True)):
        first, last = (f"{float(value):.3g}" for value in pair)
        assert f"image {number}: energy {first} to {last}" in report
    assert "8 looks" in report


def test_the_model_is_left_as_it_was(eps):
    plain = tiny.sample(eps)
    optimised(eps, rounds=1, iterations=1)
    assert torch.equal(tiny.sample(eps), plain)


def test_noise_that_is_good_enough_is_that_of_the_stock_sampler_after_one_look(eps):
    noise, _, report = optimised(eps, threshold=9.0)
    drawn = comfy.sample.prepare_noise(tiny.latent(2)["samples"], 1)
    assert torch.equal(noise.generate_noise(tiny.latent(2)), drawn)
    assert report.endswith("1 looks")
    assert "above" not in report


def test_the_latent_is_what_a_sampler_that_adds_no_noise_takes(eps):
    noise, latent, _ = optimised(eps, rounds=1, iterations=2)
    start = tiny.latent(2)
    stock = tiny.sample(eps, batch=2, noise=noise.generate_noise(start))
    start = latent["samples"]
    again = tiny.sample(eps, latent=start, noise=torch.zeros_like(start), disable_noise=True)
    torch.testing.assert_close(again, stock, rtol=1e-4, atol=1e-4)


def test_a_sample_is_found_by_its_batch_index_and_is_the_same_alone(eps):
    settings = {"rounds": 2, "iterations": 2}
    noise, _, _ = optimised(eps, batch=3, **settings)
    one = {**tiny.latent(1), "batch_index": [2]}
    alone, _, _ = optimised(eps, latent=one, **settings)
    whole = noise.generate_noise(tiny.latent(3))
    torch.testing.assert_close(noise.generate_noise(one), whole[2:])
    torch.testing.assert_close(alone.generate_noise(one), whole[2:], rtol=1e-3, atol=1e-3)


def energies_at(model, noise, step, steps=4):
    """What the energy of a stock run is at one of its steps, (B,)."""
    trace = Trace()
    watched = guide.apply(model, [LatentUpdate(ENERGY, Constant(1e-12))], trace=trace)
    tiny.sample(watched, steps, batch=len(noise), noise=noise.clone())
    return torch.tensor(trace.rows[step]["energy"])


def test_a_look_ahead_is_the_energy_of_the_stock_run_there_and_the_best_draw_is_kept(eps):
    ahead = {"ahead": 2, "steps": 4, "iterations": 0, "negative": tiny.cond(2)}
    alone = optimised(eps, rounds=1, **ahead)[2]
    drawn = comfy.sample.prepare_noise(tiny.latent(2)["samples"], 1)
    there = energies_at(eps, drawn, 2)
    for number, value in enumerate(there.tolist()):
        assert f"image {number}: energy {value:.3g} to {value:.3g}" in alone
    noise, _, report = optimised(eps, rounds=5, **ahead)
    best = energies_at(eps, noise.generate_noise(tiny.latent(2)), 2)
    assert (best <= there).all()
    assert (best < there).any()
    assert report.endswith("5 looks")


def test_moves_ahead_and_a_missing_negative_are_refused(eps):
    with pytest.raises(ValueError, match="set iterations to 0"):
        optimised(eps, ahead=2, negative=tiny.cond(2), iterations=3)
    with pytest.raises(ValueError, match="needs a negative prompt"):
        optimised(eps, ahead=2, iterations=0)


def test_another_latent_is_refused(eps):
    noise, _, _ = optimised(eps, rounds=1, iterations=0)
    for other in (tiny.latent(3), tiny.latent(2, size=12)):
        with pytest.raises(ValueError, match="connect the latent that it was optimised for"):
            noise.generate_noise(other)


def test_a_flow_gets_noise_and_no_latent():
    model, cond = tiny.flux(), tiny.cond(1, 48, pooled_output=torch.ones(1, 32))
    words = (Word("a", (1,), False), Word("b", (3,), False))
    noise, latent, report = optimised(
        *(model, 1, 16, cond), energy=Presence(words), rounds=1, iterations=2, divergence=0.01
    )
    assert isinstance(latent, ExecutionBlocker)
    drawn = comfy.sample.prepare_noise(tiny.latent(1, channels=16)["samples"], 1)
    assert not torch.equal(noise.generate_noise(tiny.latent(1, channels=16)), drawn)
    assert "image 0" in report


def test_an_energy_of_the_image_without_a_vae_is_refused_before_the_model_is_asked(eps):
    with pytest.raises(ValueError, match="no VAE to decode the latent"):
        optimised(eps, energy=MeanColor(torch.tensor([1.0, 0.0, 0.0])))


def test_a_threshold_that_is_reached_costs_the_host_one_look_more_and_changes_nothing(eps):
    """Of the positive branch alone: the step itself is the stock sampler's."""
    rows = []

    def counted(apply, args):
        rows.append(len(args["input"]))
        return apply(args["input"], args["timestep"], **args["c"])

    model = eps.clone()
    model.set_model_unet_function_wrapper(counted)
    plain, costs = tiny.sample(model, 2), []
    costs.append(sum(rows))
    for limit in (9.0, -9.0):
        rows.clear()
        asked = PercentThresholds(((0.0, limit),))
        rule = LatentUpdate(ENERGY, Constant(0.1), thresholds=asked, rounds=4, stop=1e-9)
        first = guide.apply(model, [rule])
        x0 = tiny.sample(first, 1)
        costs.append(sum(rows))
        if limit > 0:
            rows.clear()
            assert torch.allclose(x0, tiny.sample(model, 1), rtol=1e-4, atol=1e-5)
    assert plain.isfinite().all()
    assert costs == [4, 1 + 2, 4 + 2]


def test_an_energy_of_the_image_chooses_ahead_by_what_the_vae_decodes():
    with torch.inference_mode():
        model, clip, vae = shapes.load()
        empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    red = MeanColor(torch.tensor([1.0, 0.0, 0.0]))
    ahead = {"ahead": 2, "steps": 4, "iterations": 0, "rounds": 6, "negative": empty, "vae": vae}
    latent = {"samples": torch.zeros(2, 4, 16, 16)}
    _, _, report = optimised(model, positive=empty, energy=red, latent=latent, **ahead)
    before, after = zip(*re.findall(r"energy (\S+) to (\S+),", report), strict=True)
    assert all(float(b) <= float(a) for a, b in zip(before, after, strict=True))
    assert before != after
