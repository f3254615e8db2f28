"""Sentences from templates, and the sets that are shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from guidance_core.procedures.sentences import GENERAL, SentenceSet, kind_of, parse, read

SHIPPED = read(Path(__file__).parents[2] / "assets" / "sentences")


def test_each_word_stands_in_each_template_with_its_article():
    own = parse("# owl, cat\n\n a photo of a {} \nA {} at {}\n")
    assert own == SentenceSet(frozenset({"owl", "cat"}), ("a photo of a {}", "A {} at {}"))
    assert own.sentences(["cat", "an owl"]) == [
        "a photo of a cat",
        "A cat at cat",
        "a photo of an owl",
        "An owl at owl",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("# cat", r"expected sentences with \{\} in place of the word, got none"),
        ("a {}\na photo", r"expected \{\} in place of the word, got 'a photo'"),
    ],
)
def test_templates_without_a_place_are_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse(text)


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        ("cat", "a dog", "animal"),
        ("Cat", "flurgl", "animal"),
        ("flurgl", "circle", "shape"),
        ("orange", "apple", "food"),  # a colour as well
        ("orange", "blue", "colour"),
        ("flurgl", "blurb", GENERAL),
    ],
)
def test_the_kind_is_the_one_that_knows_most_of_the_words(source, target, kind):
    assert kind_of([source, target], SHIPPED) == kind


def test_shipped_sets_are_whole():
    assert GENERAL in SHIPPED
    for kind, found in SHIPPED.items():
        assert len(found.words) >= 10, kind
        assert len(found.templates) >= 12, kind
        assert len(set(found.templates)) == len(found.templates), kind
        assert all(template.count("{}") == 1 for template in found.templates), kind


def test_source_and_target_differ_in_the_word_alone():
    found = SHIPPED["animal"]
    before, after = (found.sentences([word]) for word in ("cat", "dog"))
    assert [line.replace("cat", "dog") for line in before] == after
