"""Sentences about a word, from templates: what edit directions are averaged over.

References:
    Zero-shot Image-to-Image Translation (Pix2Pix-Zero), Parmar et al. 2023, arXiv:2302.03027,
    section 3.2 (a bank of sentences of each word). Deviates: templates of sentences in which only
    the word differs, some twenty a kind, in place of a thousand sentences of a language model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PLACE = "{}"
GENERAL = "thing"  # the kind of words that no set names


@dataclass(frozen=True)
class SentenceSet:
    """Templates for words of one kind.

    Arguments:
        words: words that it is meant for; others fit as well.
        templates: sentences with {} in place of the word.

    Raises:
        ValueError: no templates, or one without {}.
    """

    words: frozenset[str]
    templates: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.templates:
            raise ValueError(f"expected sentences with {PLACE} in place of the word, got none")
        for template in self.templates:
            if PLACE not in template:
                raise ValueError(
                    f"expected {PLACE} in place of the word, got '{template}': write it in "
                    "every sentence"
                )

    def sentences(self, words: Iterable[str]) -> list[str]:
        """Every template about every word, "a" before a vowel written "an"."""
        return [_about(word, template) for word in words for template in self.templates]


def lines_in(text: str) -> list[str]:
    """Lines of a text that are not empty, without spaces around them."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def parse(text: str) -> SentenceSet:
    """A set of templates, one per line; words in lines that begin with #, comma-separated."""
    lines = lines_in(text)
    named = ",".join(line[1:] for line in lines if line.startswith("#")).split(",")
    words = frozenset(word.strip() for word in named) - {""}
    return SentenceSet(words, tuple(line for line in lines if not line.startswith("#")))


def read(folder: Path) -> dict[str, SentenceSet]:
    """The sets of a folder by the names of their files, alphabetically."""
    paths = sorted(folder.glob("*.txt"))
    return {path.stem: parse(path.read_text(encoding="utf-8")) for path in paths}


def kind_of(words: Sequence[str], sets: Mapping[str, SentenceSet]) -> str:
    """The kind that names most of some words, the first of equal ones; "thing" where none does."""
    bare = [_bare(word).lower() for word in words]
    counts = {kind: sum(word in found.words for word in bare) for kind, found in sets.items()}
    best = max(counts, key=lambda kind: counts[kind])
    return best if counts[best] else GENERAL


def _about(word: str, template: str) -> str:
    bare = _bare(word)
    if bare[:1].lower() in tuple("aeiou"):
        template = re.sub(r"\b([Aa]) \{\}", r"\1n {}", template)
    return template.replace(PLACE, bare)


def _bare(word: str) -> str:
    """A word without its article."""
    return re.sub(r"^(an?|the) ", "", word.strip(), flags=re.IGNORECASE)
