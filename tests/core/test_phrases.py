"""Objects that prompts name."""

from __future__ import annotations

import pytest

from guidance_core.attention.phrases import Phrase, objects_of

NAMED = {
    "a red circle and a blue square": [("circle", "red"), ("square", "blue")],
    "a photo of a red cat, a (blue:1.3) dog and a red bird on green grass": [
        ("cat", "red#1"),
        ("dog", "blue"),
        ("bird", "red#2"),
        ("grass", "green"),
    ],
    "3 cats": [("cats",)],
    "a painting": [],
    "": [],
    "two small dogs next to a big old tree": [("dogs", "small"), ("tree", "big", "old")],
    "(Red circle:1.2) with a hat\nanother red circle": [
        ("circle#1", "Red#1"),
        ("hat",),
        ("circle#2", "another", "red#2"),
    ],
}


@pytest.mark.parametrize("prompt", NAMED)
def test_each_part_names_its_last_word_with_those_before_it(prompt: str) -> None:
    expected = tuple(Phrase(noun, tuple(attributes)) for noun, *attributes in NAMED[prompt])
    assert objects_of(prompt) == expected
    assert all(phrase.words[-1] == phrase.noun for phrase in expected)
