"""What the tokens of a prompt spell, through the host's own tokenizers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor

# How vocabularies mark where a word ends (CLIP) or begins (T5, byte-level ones).
BLANKS = ("</w>", "▁", "Ġ")
GOES_ON = "##"
# A vector of a textual inversion, spelt in characters that no text has: the first and the last of
# an embedding are marked, so that none is found inside another.
FIRST, LAST, VECTOR = "\ue000", "\ue001", 0xE100
UNKNOWN = "\ufffd"
# Number of the word that start, end and padding belong to.
NO_WORD = 0
# Bytes of the longest character.
BYTES = 4

Token = tuple[Any, ...]
# Lower-case text and places of tokens that only together spell whole characters.
Pieces = list[tuple[str, tuple[int, ...]]]


def tokenized(tokenizer: Any, text: str) -> list[list[Token]]:
    """Chunks of tokens with their weights and the numbers of their words."""
    return tokenizer.tokenize_with_weights(text, return_word_ids=True)


def spoken(tokenizer: Any, chunks: list[list[Token]], start: int = 0) -> Pieces:
    """Return the pieces that a prompt is spelt with.

    Arguments:
        tokenizer: the host's tokenizer of one encoder.
        chunks: its tokens.
        start: place of the first of them in the context.
    """
    pieces: Pieces = []
    waiting: list[tuple[int, int]] = []
    for token, place, edges in _said(chunks, start):
        if not isinstance(token, int):
            pieces.append((_vector(token, *edges), (place,)))
            continue
        waiting.append((token, place))
        text = _spelling(tokenizer, [number for number, _ in waiting])
        # Half of a character waits for its other tokens.
        if UNKNOWN not in text or len(waiting) == BYTES:
            pieces.append((text, tuple(where for _, where in waiting)))
            waiting = []
    return pieces + [(UNKNOWN, (place,)) for _, place in waiting]


def _said(chunks: list[list[Token]], start: int) -> Iterator[tuple[Any, int, tuple[bool, bool]]]:
    """Token, place, and whether it is the first and the last of its embedding."""
    said: list[tuple[Any, int, Any]] = []
    for chunk in chunks:
        for index, (token, _, *word) in enumerate(chunk):
            if word == [NO_WORD]:
                continue
            said.append((token, start + index, word))
        start += len(chunk)
    for index, (token, place, word) in enumerate(said):
        opens = index == 0 or said[index - 1][2] != word
        closes = index + 1 == len(said) or said[index + 1][2] != word
        yield token, place, (opens, closes)


def _vector(vector: Tensor, opens: bool, closes: bool) -> str:
    """A vector of an embedding by what it holds."""
    held = hashlib.blake2b(vector.float().cpu().numpy().tobytes(), digest_size=8).digest()
    spelt = "".join(chr(VECTOR + byte) for byte in held)
    return (FIRST if opens else "") + spelt + (LAST if closes else "")


def _spelling(tokenizer: Any, tokens: list[int]) -> str:
    """What tokens spell, through the tokenizer: byte-level ones spell bytes of a character."""
    inner = getattr(tokenizer, "tokenizer", None)
    if tokens[-1] == getattr(inner, "unk_token_id", None):
        return UNKNOWN
    spelt = [tokenizer.inv_vocab[token] for token in tokens]
    if type(inner).__name__.startswith("Bert"):
        # It marks what goes on with a word, not what begins one.
        goes_on = spelt[0].startswith(GOES_ON)
        return ("" if goes_on else " ") + spelt[0].removeprefix(GOES_ON).lower()
    text = _text(inner, tokens, spelt)
    if text.isspace():
        return " "
    text = text.strip()
    for mark in BLANKS:
        text = text.replace(mark, "")
    blank = lambda piece, ends: any(ends(piece, mark) for mark in BLANKS)
    before = " " if blank(spelt[0], str.startswith) else ""
    after = " " if blank(spelt[-1], str.endswith) and spelt[-1] not in BLANKS[1:] else ""
    return (before + text + after).lower()


def _text(inner: Any, tokens: list[int], spelt: list[str]) -> str:
    """Text of tokens by a tokenizer of the transformers library, the host's own, or neither."""
    if hasattr(inner, "convert_tokens_to_string"):
        return str(inner.convert_tokens_to_string(spelt))
    return str(inner.decode(tokens)) if hasattr(inner, "decode") else "".join(spelt)
