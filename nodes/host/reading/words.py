"""Words of a prompt as positions in the context that a model attends to.

The CLIP's own tokenizers decide what is where: weights, brackets, words of several pieces and
prompts of several chunks are theirs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from textwrap import shorten
from typing import Any

from ....guidance_core.attention.alignment import Placed
from ....guidance_core.attention.words import Context, Word
from .encoders import Part, parts_of
from .prompts import second_states
from .spelling import UNKNOWN, Pieces, spoken, tokenized

SEPARATORS = re.compile(r"[\n,]")
OCCURRENCE = re.compile(r"^(?P<phrase>.*\S)\s*#(?P<number>[1-9]\d*)$")
WORD = re.compile(r"\w+(?:['-]\w+)*")
# Scripts that are written without blanks between words.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
LETTER = re.compile(rf"[^\W{UNSPACED}]")
# https://github.com/huggingface/transformers/issues/45488, which leaves Llama 3 no blanks.
RUN_TOGETHER = (
    "the words of the prompt cannot be told apart, because the text encoder's tokenizer leaves out "
    "all blanks ('{}'), for the model too: Llama needs the package transformers below 5"
)


@dataclass(frozen=True)
class Spelt:
    """A word of a prompt as the text encoder reads it: its pieces and its weight."""

    text: str
    pieces: tuple[str, ...]
    weight: float


def find_words(clip: Any, prompt: str, words: str) -> tuple[Word, ...]:
    """Return words of a prompt with their positions in the context.

    Arguments:
        clip: the host's CLIP.
        prompt: the text as it is encoded.
        words: words or phrases, one per line or comma-separated; "circle#2" is the second circle.

    Raises:
        ValueError: there are no words, a word is not in the prompt, or the text encoder is of a
            kind whose context is not known.
    """
    phrases = [phrase for part in SEPARATORS.split(words) if (phrase := part.strip())]
    if not phrases:
        raise ValueError(
            "words must hold at least one word of the prompt, got none: write one per line"
        )
    parts = parts_of(clip, prompt)
    starts = parts[0].starts
    return tuple(Word(phrase, _positions(parts, prompt, phrase), starts) for phrase in phrases)


def in_context(clip: Any, prompt: str, words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Return words that know their prompt as the text encoder sees it.

    Arguments:
        clip: the host's CLIP.
        prompt: the text as it is encoded.
        words: words of it.
    """
    states, rest = clip.encode_from_tokens_scheduled(clip.tokenize(prompt))[0]
    beside = second_states(rest)
    kept = None if beside is None else beside.detach().cpu()
    context = Context(states.detach().cpu(), prompt, kept)
    return tuple(replace(word, context=context) for word in words)


def _positions(parts: list[Part], prompt: str, phrase: str) -> tuple[int, ...]:
    """Positions of a phrase in every part of the context."""
    numbered = OCCURRENCE.match(phrase)
    text, number = (numbered["phrase"], int(numbered["number"])) if numbered else (phrase, None)
    found: set[int] = set()
    for part in parts:
        spans = list(_spans(part, text))
        for span in spans if number is None else spans[number - 1 : number]:
            found.update(span)
    if not found:
        raise ValueError(_absence(parts[0], prompt, phrase))
    return tuple(sorted(found))


def words_of(clip: Any, prompt: str) -> list[Spelt]:
    """Return every word of a prompt, in order, as the host's CLIP splits it.

    Raises:
        ValueError: the text encoder is of a kind whose context is not known.
    """
    part = parts_of(clip, prompt)[0]
    text, owner = _joined(part.pieces)
    found = []
    for match in WORD.finditer(text):
        owners = owner[match.start() : match.end()]
        weight = float(part.weights[part.pieces[owners[0]][1][0]])
        found.append(Spelt(match.group(), tuple(_runs(match.group(), owners)), weight))
    return found


def placed_words(clip: Any, prompt: str, length: int) -> dict[int, tuple[Placed, ...]]:
    """Return every word of a prompt, in order, for each text of the context.

    Encoders whose states lie side by side are one text, those behind one another several.

    Arguments:
        clip: the host's CLIP.
        prompt: the text as it is encoded.
        length: places of the context; what a text has behind them (Llama's states in HiDream-I1,
            which are there twice) is left out.

    Returns:
        By the place where a text begins: its words, with their places in the whole context.

    Raises:
        ValueError: the prompt has no words, or the text encoder is of a kind whose context is not
            known.
    """
    parts = [part for part in parts_of(clip, prompt) if max(part.weights) < length]
    # A conversation begins with the context, whatever of it the prompt is.
    starts = [0] if len(parts) == 1 else [min(part.weights) for part in parts]
    found = dict(zip(reversed(starts), map(_placed, reversed(parts)), strict=True))
    if not all(found.values()):
        raise ValueError("expected a prompt of one word or more, got none: write what it shows")
    return {start: found[start] for start in sorted(found)}


def _placed(part: Part) -> tuple[Placed, ...]:
    text, owner = _joined(part.pieces)
    found = []
    for match in WORD.finditer(text):
        owners = dict.fromkeys(owner[match.start() : match.end()])
        places = {place for index in owners for place in part.pieces[index][1]}
        found.append(Placed(match.group(), tuple(sorted(places))))
    return tuple(found)


def _joined(pieces: Pieces) -> tuple[str, list[int]]:
    """Text of the pieces, and for each of its characters the index of its piece."""
    owner = [index for index, (piece, _) in enumerate(pieces) for _ in piece]
    return "".join(piece for piece, _ in pieces), owner


def _runs(text: str, owners: list[int]) -> Iterator[str]:
    """The text, cut where the piece of its characters changes."""
    together = zip(text, owners, strict=True)
    for _, run in itertools.groupby(together, key=lambda pair: pair[1]):
        yield "".join(letter for letter, _ in run)


def _absence(part: Part, prompt: str, phrase: str) -> str:
    text = _joined(part.pieces)[0].strip()
    if " " in prompt.strip() and " " not in text:
        return RUN_TOGETHER.format(shorten(text, 40, placeholder=" ..."))
    there = ", ".join(dict.fromkeys(WORD.findall(text))) or "nothing"
    return (
        f"expected words of the prompt, got '{phrase}', which is not in it: choose among {there} "
        "(a number after # counts occurrences)"
    )


def _spans(part: Part, phrase: str) -> Iterator[list[int]]:
    """Positions of each occurrence of a phrase, as the part's tokenizer spells both."""
    spelt = spoken(part.tokenizer, tokenized(part.tokenizer, phrase))
    wanted = "".join(piece for piece, _ in spelt).strip()
    text, owner = _joined(part.pieces)
    if not wanted or UNKNOWN in wanted:
        return
    before = rf"(?<!{LETTER.pattern})" if LETTER.match(wanted[0]) else ""
    after = rf"(?!{LETTER.pattern})" if LETTER.match(wanted[-1]) else ""
    for match in re.finditer(before + re.escape(wanted) + after, text):
        owners = dict.fromkeys(owner[match.start() : match.end()])
        yield [place for index in owners for place in part.pieces[index][1]]
