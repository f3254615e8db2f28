"""What energies require is found by walking through rules, wrappers and what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from guidance_core.attention.words import Word
from guidance_core.captures import Attention
from guidance_core.energies.aesthetic import Aesthetic
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.color import MeanColor
from guidance_core.energies.face_identity import FaceIdentity
from guidance_core.energies.masked import Masked
from guidance_core.energies.position import Position
from guidance_core.energies.scheduled import Scheduled
from guidance_core.energies.smoothed import Smoothed
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.requirements import (
    is_active,
    name_of_energy,
    rebuilt,
    requirements_of,
    walk,
)
from guidance_core.rules.forward import Forward
from guidance_core.schedules import Constant, Window
from tests.core.toys import (
    TinyClassifier,
    TinyClip,
    TinyDetector,
    TinyFace,
    TinyPredictor,
    seeded,
)

MAP = Attention((2,))
PLACE = Position((Word("red", (2,)),), (0.2, 0.4))
COLOR = MeanColor(torch.tensor([1.0, 0.0, 0.0]))
MASK = torch.ones(4, 4)


def plain(estimate):
    return estimate.x0.flatten(1).mean(1)


@dataclass(frozen=True)
class Doubled:
    """A wrapper that declares nothing."""

    energy: Any

    def __call__(self, estimate):
        return 2 * self.energy(estimate)


class Loose:
    """A wrapper that is no dataclass."""

    def __init__(self, energy):
        self.energy = energy


def test_an_energy_that_declares_nothing_requires_nothing():
    wanted = requirements_of([plain])
    assert (wanted.captures, wanted.networks) == (frozenset(), ())
    assert not wanted.reads_image
    assert not wanted.captures_only


def test_wrappers_and_rules_pass_on_what_they_hold():
    for wrap in (
        Doubled,
        Loose,
        lambda energy: Scheduled(energy, Constant()),
        lambda energy: WeightedSum(((1.0, energy),)),
        lambda energy: Forward(energy, Constant()),
        lambda energy: Doubled(Loose(Doubled(energy))),
    ):
        of_map, of_label = requirements_of([wrap(PLACE)]), requirements_of([wrap(COLOR)])
        assert of_map.captures == {MAP}
        assert of_map.captures_only
        assert not of_map.reads_image
        assert of_label.reads_image
        assert not of_label.captures_only
    classifier = TinyClassifier()
    for wrap in (lambda energy: Masked(energy, MASK), Smoothed, Doubled):
        wanted = requirements_of([wrap(ClassLabel(classifier, "red"))])
        assert wanted.reads_image
        assert wanted.networks == (classifier,)


def test_networks_are_those_in_the_fields_each_once():
    clip, predictor, face, detector = TinyClip(), TinyPredictor(), TinyFace(), TinyDetector()
    picture = seeded(1, 3, 8, 8).sigmoid()
    found = FaceIdentity(face, picture, detector=detector)
    energies = [Aesthetic(clip, predictor), found, Aesthetic(clip, predictor)]
    assert requirements_of(energies).networks == (clip, predictor, face, detector)

    class Own:
        networks = (clip,)

    assert requirements_of([Own()]).networks == (clip,)


def test_the_negative_branch_is_left_out_for_captures_alone_only():
    for other in (plain, COLOR, Doubled(plain)):
        assert not requirements_of([WeightedSum(((1.0, PLACE), (1.0, other)))]).captures_only
        assert not requirements_of([PLACE, other]).captures_only

    class Mixed:
        """Reads the latent besides."""

        captures = frozenset({MAP})
        captures_only = False

    assert not requirements_of([Mixed()]).captures_only
    assert not requirements_of([Doubled(Mixed())]).captures_only


def test_a_wrapper_is_active_where_what_it_holds_is():
    late = Scheduled(plain, Window(1.0, 0.5))
    both = WeightedSum(((1.0, late), (0.0, plain)))
    for energy in (Doubled(late), Smoothed(late), Doubled(both)):
        assert is_active(energy, 0.9)
        assert not is_active(energy, 2.0)
    assert is_active(Doubled(plain), 2.0)


def test_a_wrapper_is_named_after_what_it_holds():
    red = ClassLabel(TinyClassifier(), "red")
    assert name_of_energy(Doubled(red)) == "ClassLabel red"
    assert name_of_energy(WeightedSum(((1.0, red), (2.0, plain)))) == "ClassLabel red + plain"


def test_walk_finds_everything_outermost_first_and_rebuilt_changes_it():
    rule = Forward(WeightedSum(((1.0, Scheduled(PLACE, Constant(2.0))),)), Constant(3.0))
    found = list(walk(rule))
    assert found[:2] == [rule, rule.energy]
    assert [part.value for part in found if isinstance(part, Constant)] == [2.0, 3.0]

    doubled = rebuilt(rule, lambda p: Constant(2 * p.value) if isinstance(p, Constant) else p)
    assert [part.value for part in walk(doubled) if isinstance(part, Constant)] == [4.0, 6.0]
    assert doubled.energy.parts[0][1].energy is PLACE
    assert rebuilt(rule, lambda part: part) is rule
