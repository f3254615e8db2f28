"""Objects that an English prompt names, each with its attributes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

WORD = re.compile(r"\w+(?:['-]\w+)*")
# Where one object ends and another begins.
BREAKS = re.compile(
    r"[,.;:\n]|\b(?:and|or|with|without|on|in|at|of|to|from|by|near|beside|between|behind|under"
    r"|over|above|below|inside|outside|through|against|next to|wearing|holding)\b",
    re.IGNORECASE,
)
NO_ATTRIBUTES = {
    *("a", "an", "the", "some", "this", "that", "its", "his", "her", "their"),
    *("one", "two", "three", "four"),
}
# What a prompt says of the picture as a whole.
NO_OBJECTS = {
    *("photo", "photograph", "picture", "image", "painting", "drawing", "illustration"),
    *("portrait", "style", "render", "left", "right", "top", "bottom", "front", "background"),
}
# The host's weights, as in (red:1.3).
WEIGHTS = re.compile(r"[()]|:[\d.]+(?=\))")


@dataclass(frozen=True)
class Phrase:
    """An object of a prompt.

    Arguments:
        noun: its word.
        attributes: the words before it, in their order.

    Where a word stands several times in the prompt, a number after # tells which is meant.
    """

    noun: str
    attributes: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All its words."""
        return (*self.attributes, self.noun)


def objects_of(prompt: str) -> tuple[Phrase, ...]:
    """Return the objects that a prompt names: the last word of each part between breaks.

    No grammar is known: "a red cat and a dog on grass" names a red cat, a dog and grass.

    Arguments:
        prompt: English text.
    """
    text = WEIGHTS.sub(lambda weight: " " * len(weight.group()), prompt)
    every = [word for word in WORD.finditer(text) if not word.group().isdigit()]
    breaks = [match.span() for match in BREAKS.finditer(text)]
    edges = pairwise([(0, 0), *breaks, (len(text), len(text))])
    parts = ([w for w in every if low <= w.start() < high] for (_, low), (high, _) in edges)
    return tuple(phrase for part in parts if (phrase := _phrase(part, every)))


def _phrase(part: list[re.Match[str]], every: list[re.Match[str]]) -> Phrase | None:
    """The object of one part, if it names one."""
    kept = [word for word in part if word.group().lower() not in NO_ATTRIBUTES]
    if not kept or kept[-1].group().lower() in NO_OBJECTS:
        return None
    *attributes, noun = (_numbered(word, every) for word in kept)
    return Phrase(noun, tuple(attributes))


def _numbered(word: re.Match[str], every: list[re.Match[str]]) -> str:
    """The word, with the number of its occurrence where it stands several times."""
    same = [one.start() for one in every if one.group().lower() == word.group().lower()]
    return word.group() if len(same) == 1 else f"{word.group()}#{same.index(word.start()) + 1}"
