"""When an energy counts as reached: what it says of itself is what that means."""

from __future__ import annotations

import pytest
import torch

from guidance_core.attention.words import Word
from guidance_core.compose import guided
from guidance_core.energies.box import Box
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.clip_text import ClipText
from guidance_core.energies.frames import Frames
from guidance_core.energies.masked import Masked
from guidance_core.energies.measurement import Measurement
from guidance_core.energies.position import Position
from guidance_core.energies.presence import Presence
from guidance_core.energies.scheduled import Scheduled
from guidance_core.energies.smoothed import Smoothed
from guidance_core.energies.smoothness import Smoothness
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.requirements import reached_at
from guidance_core.rules.forward import Forward
from guidance_core.schedules import Constant
from guidance_core.trace import Trace
from guidance_core.types import Estimate
from tests.core.toys import Model, TinyClassifier, TinyClip, decode, latent, levels, run_with

RED = (Word("red", (3,)),)
NEAR = Position(RED, (0.5, 0.5))


def reached(energy, estimate: Estimate) -> list[bool]:
    return (energy(estimate) <= reached_at(energy, 1.0)).tolist()


def test_a_label_is_reached_where_its_probability_is_the_confidence():
    classifier = TinyClassifier()
    estimate = Estimate(latent(64), levels(1.0, 64), decode)
    chances = classifier(estimate.image).softmax(1)[:, classifier.labels.index("red")]
    middle = float(chances.median())
    energy = ClassLabel(classifier, "red", middle + 1e-6)
    assert reached(energy, estimate) == (chances >= middle + 1e-6).tolist()
    assert any(reached(energy, estimate))
    assert reached_at(ClassLabel(classifier, "red"), 1.0) is None


def test_a_text_is_reached_where_its_cosine_is_enough():
    estimate = Estimate(latent(64), levels(1.0, 64), decode)
    cosines = 1 - ClipText(TinyClip(), "a red circle", "cosine", cutouts=0)(estimate)
    middle = float(cosines.median()) - 1e-6
    assert (
        reached(ClipText(TinyClip(), "a red circle", cutouts=0, enough=middle), estimate)
        == (cosines >= middle).tolist()
    )
    assert reached_at(ClipText(TinyClip(), "a red circle"), 1.0) is None


def test_a_measurement_is_reached_within_its_noise():
    estimate = Estimate(latent(64), levels(1.0, 64), decode)
    measured = estimate.image[:1]
    errors = (estimate.image - measured).square().flatten(1).mean(1)
    noise = float(errors.median().sqrt()) + 1e-6
    assert reached(Measurement(measured, noise=noise), estimate) == (errors <= noise**2).tolist()
    assert reached_at(Measurement(measured), 1.0) is None


@pytest.mark.parametrize(
    ("energy", "limit"),
    [
        (NEAR, 0.05),
        (Position(RED, (0.5, 0.5), measure="published"), None),
        (Presence(RED), pytest.approx(0.2)),
        (Box(RED, (0.0, 0.0, 0.5, 0.5)), 0.2),
        (Box(RED, (0.0, 0.0, 0.5, 0.5), loss="boxdiff"), None),
        (Smoothness(), None),
        (WeightedSum(((2.0, NEAR),)), 0.1),
        (WeightedSum(((-2.0, NEAR),)), None),
        (WeightedSum(((1.0, NEAR), (1.0, Smoothness()))), None),
        (Scheduled(NEAR, Constant(3.0)), pytest.approx(0.15)),
        (Scheduled(Smoothness(), Constant(3.0)), None),
    ],
)
def test_what_is_reached_at_follows_weights_and_schedules(energy, limit):
    assert reached_at(energy, 1.0) == limit


@pytest.mark.parametrize(
    "wrap", [Smoothed, Frames, lambda energy: Masked(energy, torch.ones(4, 4))]
)
def test_wrappers_that_keep_a_zero_a_zero_pass_it_on(wrap):
    assert reached_at(wrap(ClassLabel(TinyClassifier(), "red", 0.9)), 1.0) == 0.0
    assert reached_at(wrap(Smoothness()), 1.0) is None


def rows(energy, **settings) -> list[dict]:
    trace = Trace()
    rule = Forward(energy, Constant(1.0), **settings)
    guided([rule], Model(), run_with(trace))(latent(), levels(1.0))
    return trace.rows


def test_the_trace_tells_it_by_the_names_of_the_terms():
    label = ClassLabel(TinyClassifier(), "red", 0.9)
    smooth = Smoothness()
    (alone,) = rows(label)
    assert alone["reached"] == {"ClassLabel red": 0.0}
    (both,) = rows(WeightedSum(((1.0, label), (2.0, label), (1.0, smooth))))
    assert both["terms"].keys() == {"ClassLabel red", "ClassLabel red 2", "Smoothness"}
    assert both["reached"] == {"ClassLabel red": 0.0, "ClassLabel red 2": 0.0}


def test_stop_of_the_rule_goes_before_what_the_energy_says():
    label = ClassLabel(TinyClassifier(), "red", 0.9)
    (row,) = rows(label, stop=0.3)
    assert row["reached"] == {"ClassLabel red": 0.3}
    (row,) = rows(Smoothness(), stop=0.3)
    assert row["reached"] == {"Smoothness": 0.3}


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_a_step_of_the_relative_scale_is_its_strength_times_the_spread(strength):
    trace = Trace()
    rule = Forward(Smoothness(), Constant(strength))
    guided([rule], Model(), run_with(trace))(latent(), levels(2.0))
    (row,) = trace.rows
    assert row["spread"] == pytest.approx(2.0 / 5.0**0.5)
    assert row["push"] == pytest.approx([strength * row["spread"]] * 2)
