"""Requests for captures, words, and references of another run."""

from __future__ import annotations

import copy

import pytest
import torch

from guidance_core.captures import Attention, Features, chosen
from guidance_core.references import Reference
from guidance_core.tokens import Word, positions_of
from tests.core.toys import seeded

THERE = ("input.1.0", "middle.0", "output.3.0")


def test_symbolic_layers_are_resolved_in_the_models_order():
    assert chosen("default", THERE[1:2], THERE) == ("middle.0",)
    assert chosen("all", (), THERE) == THERE
    assert chosen(("output.3.0", "input.1.0"), (), THERE) == ("input.1.0", "output.3.0")


def test_an_unknown_layer_is_an_error_that_lists_those_there_are():
    with pytest.raises(ValueError, match=r"no layer output.9.0: .* input.1.0, middle.0, output"):
        chosen(("output.9.0", "middle.0"), (), THERE)


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
    with pytest.raises(ValueError, match=r"holds no .*recorded were Attention.positions=.1, 4, 6"):
        recorded().at(2.0, request_)


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
