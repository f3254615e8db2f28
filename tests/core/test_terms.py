"""The parts of a sum are recorded beside it, at no further evaluation."""

from __future__ import annotations

import torch

from guidance_core.compose import guided
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.masked import Masked
from guidance_core.energies.scheduled import Scheduled
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.requirements import name_of_energy
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.schedules import Constant, Window
from tests.core.toys import Model, TinyClassifier, assert_close, latent, levels, run_with

CALLS = []


def red(estimate):
    CALLS.append(estimate)
    return estimate.x0.flatten(1).square().mean(1)


def blue(estimate):
    return (estimate.x0 - 1).flatten(1).square().mean(1)


def recorded(energy, *rules):
    records = []
    rules = [rule(energy, Constant()) for rule in rules or (Forward,)]
    guided(rules, Model(), run_with(records.append))(latent(), levels(1.0))
    return records


def test_terms_add_up_to_the_energy_and_cost_no_evaluation():
    CALLS.clear()
    (record,) = recorded(WeightedSum(((2.0, red), (-0.5, blue))))
    assert list(record.terms) == ["red", "blue"]
    assert_close(sum(record.terms.values()), record.energy)
    assert len(CALLS) == 1
    assert not any(term.requires_grad for term in record.terms.values())


def test_every_rule_of_a_stack_keeps_its_own_terms_before_its_push():
    records = recorded(WeightedSum(((1.0, red), (1.0, blue))), Forward, Backward)
    for record in records:
        assert_close(sum(record.terms.values()), record.energy)
    assert not torch.equal(records[0].terms["red"], records[1].terms["red"])


def test_parts_without_work_are_not_named_and_twins_are_counted():
    never = Scheduled(blue, Window(9.0, 5.0))
    (record,) = recorded(WeightedSum(((1.0, red), (1.0, never), (3.0, red))))
    assert list(record.terms) == ["red", "red 2"]


def test_a_sum_inside_a_sum_is_one_part():
    inner = WeightedSum(((1.0, red), (1.0, blue)))
    (record,) = recorded(WeightedSum(((1.0, inner), (1.0, red))))
    assert list(record.terms) == ["red + blue", "red"]
    assert_close(sum(record.terms.values()), record.energy)


def test_one_energy_alone_is_its_only_term():
    for energy in (red, WeightedSum(((2.0, red),))):
        (record,) = recorded(energy)
        assert list(record.terms) == ["red"]
        assert record.terms["red"] is record.energy


def test_labels_say_what_is_asked():
    energy = ClassLabel(TinyClassifier(), "red")
    mask = Masked(energy, torch.ones(4, 4))
    assert name_of_energy(Scheduled(WeightedSum(((2.0, mask),)), Constant())) == "ClassLabel red"


def test_terms_of_masks_per_sample_are_not_taken_for_those_of_the_batch():
    energy = ClassLabel(TinyClassifier(), "red")
    sum_of_two = WeightedSum(((1.0, energy), (1.0, energy)))
    (record,) = recorded(Masked(sum_of_two, torch.ones(2, 4, 4)))
    assert list(record.terms) == ["ClassLabel red + ClassLabel red"]
    assert record.terms.popitem()[1] is record.energy
