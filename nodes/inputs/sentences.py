"""Sentences about words: written by the user, or made from templates that are shipped or own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ...guidance_core.procedures.sentences import SentenceSet, kind_of, lines_in, parse, read

AS_WRITTEN, BY_WORD, OWN = "as written", "by word", "own templates"


@cache
def shipped() -> dict[str, SentenceSet]:
    """The sets that come with the pack, by kind of thing."""
    return read(Path(__file__).parents[2] / "assets" / "sentences")


def choices() -> list[str]:
    """Where sentences come from, for a widget."""
    return [AS_WRITTEN, BY_WORD, *shipped(), OWN]


def spelled_out(
    source: str, target: str, sentences: str, templates: str
) -> tuple[list[str], list[str]]:
    """Sentences of both sides.

    Arguments:
        source: sentences, or words where they are put in templates; one per line.
        target: likewise.
        sentences: one of the choices.
        templates: own sentences with {}, one per line.

    Raises:
        ValueError: own templates without {}.
    """
    there, wanted = lines_in(source), lines_in(target)
    if sentences == AS_WRITTEN:
        return there, wanted
    kind = kind_of([*there, *wanted], shipped()) if sentences == BY_WORD else sentences
    found = parse(templates) if sentences == OWN else shipped()[kind]
    return found.sentences(there), found.sentences(wanted)
