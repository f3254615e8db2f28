"""Words of a prompt, as energies of attention see them."""

from __future__ import annotations

from dataclasses import dataclass

from ..captures import DEFAULT, Attention, Layers


@dataclass(frozen=True)
class Word:
    """A word, or a phrase, and where it stands in the prompt's context.

    Arguments:
        text: as written in the prompt.
        positions: its tokens' places in the context, rising, at least one.
        start_token: whether the context begins with a start token, as CLIP's does and T5's does
            not, where the first word stands at 0.

    Raises:
        ValueError: no positions, or a negative one.
    """

    text: str
    positions: tuple[int, ...]
    start_token: bool = True

    def __post_init__(self) -> None:
        if not self.positions or min(self.positions) < 0:
            raise ValueError(
                f"the word '{self.text}' needs positions >= 0 in the prompt, got {self.positions}"
            )


def positions_of(words: tuple[Word, ...]) -> tuple[int, ...]:
    """Positions of several words, each once, rising.

    Raises:
        ValueError: no words.
    """
    if not words:
        raise ValueError("no words were chosen: choose at least one word of the prompt")
    return tuple(sorted({position for word in words for position in word.positions}))


def attention_to(words: tuple[Word, ...], layers: Layers = DEFAULT) -> Attention:
    """The request for the maps of words.

    Raises:
        ValueError: no words.
    """
    return Attention(positions_of(words), layers)
