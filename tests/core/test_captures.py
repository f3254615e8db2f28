"""Requests for captures, words, and references of another run."""

from __future__ import annotations

import copy

import pytest
import torch

from guidance_core.attention.references import Reference
from guidance_core.attention.words import Word, positions_of
from guidance_core.captures import Attention, Features, chosen_layers
from guidance_core.energies.attention_keep import AttentionKeep
from guidance_core.energies.scheduled import Scheduled
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.requirements import walk
from guidance_core.rules.forward import Forward
from guidance_core.schedules import Constant
from tests.core.toys import seeded

THERE = ("input.1.0", "middle.0", "output.3.0")


def test_symbolic_layers_are_resolved_in_the_models_order():
    assert chosen_layers("default", THERE[1:2], THERE) == ("middle.0",)
    assert chosen_layers("all", (), THERE) == THERE
    assert chosen_layers(("output.3.0", "input.1.0"), (), THERE) == ("input.1.0", "output.3.0")


def test_an_unknown_layer_is_an_error_that_lists_those_there_are():
    with pytest.raises(ValueError, match=r"no layer output.9.0: .* input.1.0, middle.0, output"):
        chosen_layers(("output.9.0", "middle.0"), (), THERE)


def recorded() -> Reference:
    level = {
        Attention((1, 4, 6)): (seeded(2, 3, 4, 4).float(), seeded(2, 3, 2, 2).float()),
        Features(("middle.0",)): (seeded(2, 8, 2, 2).float(),),
    }
    whole = {Attention((), "all"): (seeded(2, 77, 2, 2).float(),)}
    return Reference({8.0: level | whole, 2.0: {key: level[key] for key in level}}, (4, 4))


def test_a_reference_gives_the_nearest_level_and_the_positions_asked_for():
    reference = recorded()
    fine, coarse = reference.at(9.5, Attention((6, 1)))
    assert fine.dtype == torch.float16
    assert torch.equal(fine, seeded(2, 3, 4, 4).half()[:, [2, 0]])
    assert coarse.shape == (2, 2, 2, 2)
    (one,) = reference.at(8.0, Attention((5,), "all"))
    assert torch.equal(one, seeded(2, 77, 2, 2).half()[:, [5]])
    assert reference.at(0.0, Features(("middle.0",)))[0].shape == (2, 8, 2, 2)


@pytest.mark.parametrize(
    "request_", [Attention((2,)), Attention((1,), ("middle.0",)), Features(), Attention()]
)
def test_a_reference_complains_of_what_it_has_not(request_):
    with pytest.raises(
        ValueError, match=r"holds no .*recorded was attention to positions 1, 4, 6 in"
    ):
        recorded().at(2.0, request_)


def test_a_position_beyond_the_recorded_prompt_is_refused():
    with pytest.raises(ValueError, match=r"holds no .*record it with the same words"):
        recorded().at(8.0, Attention((77,), "all"))


def test_values_of_another_shape_are_refused():
    wide = (seeded(2, 3, 4, 6).float(), seeded(2, 3, 2, 3).float())
    with pytest.raises(ValueError, match="the same model, size and prompt"):
        recorded().like(wide, 2.0, Attention((1, 4, 6)))


def test_a_reference_fits_runs_of_its_size_number_and_prompt():
    reference = recorded()
    reference.check(torch.zeros(2, 4, 4, 4), 77)
    with pytest.raises(ValueError, match="a latent of 4 x 4, this run has 4 x 8"):
        reference.check(torch.zeros(2, 4, 4, 8))
    with pytest.raises(ValueError, match="has 2 images, the latent batch 3"):
        reference.check(torch.zeros(3, 4, 4, 4))
    with pytest.raises(ValueError, match="a prompt of 77 places, this run's has 154"):
        reference.check(torch.zeros(2, 4, 4, 4), 154)


def test_references_are_found_inside_rules():
    reference = recorded()
    keep = AttentionKeep(reference)
    scheduled = Scheduled(keep, Constant(1.0))
    rule = Forward(WeightedSum(((1.0, keep), (2.0, scheduled))), Constant(1.0))
    found = [part for part in walk([rule]) if isinstance(part, Reference)]
    assert found == [reference, reference]


def test_a_reference_is_small_shared_by_runs_and_savable_by_autograd():
    with torch.inference_mode():
        reference = recorded()
    assert reference.nbytes == 2 * (2 * (96 + 24 + 64) + 2 * 77 * 4)
    assert copy.deepcopy([reference])[0] is reference
    assert not reference.at(2.0, Attention((1, 4, 6)))[0].is_inference()


def test_positions_of_words_are_joined():
    assert positions_of((Word("red", (2,)), Word("circles", (4, 3)), Word("red", (2,)))) == (
        2,
        3,
        4,
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Attention((-1,)), "positions must be >= 0"),
        (lambda: Attention((1,), "middle.0"), "a tuple of names, got 'middle.0'"),
        (lambda: Features(()), "no layers"),
        (lambda: Word("red", ()), "'red' needs positions"),
        (lambda: positions_of(()), "no words were chosen"),
        (lambda: Reference({}, (4, 4)), "the reference is empty"),
    ],
)
def test_bad_arguments_are_refused_at_once(make, words):
    with pytest.raises(ValueError, match=words):
        make()
