"""Names of nodes fit the title of a node that has the frontend's default width."""

from __future__ import annotations

import unicodedata

import pytest

from tools import locales

# A node with widgets is 270 px wide by default, 170 of them for the title. In its font, 14 px
# Inter, 22 letters of our names take 165 px at most; a Hangul syllable is two columns of 6.5 px.
COLUMNS = {"en": 22, "ko": 25}


def columns(text: str) -> int:
    """Letters of a text, wide ones counted twice."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


@pytest.mark.parametrize("language", COLUMNS)
def test_names_fit_a_node_of_the_default_width(language: str) -> None:
    names = [node["display_name"] for node in locales.of(language).values()]
    assert not [name for name in names if columns(name) > COLUMNS[language]]


@pytest.mark.parametrize("language", COLUMNS)
def test_no_two_nodes_have_one_name(language: str) -> None:
    names = [node["display_name"] for node in locales.of(language).values()]
    assert len(set(names)) == len(names)
