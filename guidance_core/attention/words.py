"""Words of a prompt, as energies of attention see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..captures import DEFAULT, Attention, Layers, check_map

# Of the length of a token's state: encoders round, another word changes it by far more.
ROUNDING = 1e-2


@dataclass(frozen=True, eq=False)
class Context:
    """What a text encoder made of a prompt, by which a host finds the prompt that words are of.

    Arguments:
        states: one for each token, shape (1, N, C).
        text: the prompt, for messages; empty where it is not known.
        beside: states of a second encoder, shape (1, M, C); None where there is none.
    """

    states: Tensor
    text: str = ""
    beside: Tensor | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Context:
        """Itself: nobody writes to it, and each run copies its rules with what they hold."""
        return self

    def is_of_the_text_of(self, other: Context) -> bool:
        """Whether both were made of one text by one encoder."""
        return other is self or (
            are_near(self.states, other.states) and are_near(self.beside, other.beside)
        )


def are_near(states: Tensor | None, others: Tensor | None) -> bool:
    """Whether both texts have states, the same but for rounding, or neither has any."""
    if states is None or others is None:
        return states is others
    return states.shape == others.shape and bool(is_near(states, others.to(states.device)).all())


def is_near(states: Tensor, others: Tensor) -> Tensor:
    """Whether states (..., N, C) are others (..., N, C) but for rounding: shape (..., N)."""
    states, others = states.float(), others.float()
    return (states - others).norm(dim=-1) <= ROUNDING * others.norm(dim=-1)


@dataclass(frozen=True)
class Word:
    """A word, or a phrase, and where it stands in the prompt's context.

    Arguments:
        text: as written in the prompt.
        positions: its tokens' places in the context, rising, at least one.
        start_token: whether the context begins with a start token, as CLIP's does and T5's does
            not, where the first word stands at 0.
        context: of its prompt; None where the host is to read the first positive one.
        map: what shows where it is: "attention" to it, or "concept" (see `Attention`).

    Raises:
        ValueError: no positions, a negative one, or an unknown map.
    """

    text: str
    positions: tuple[int, ...]
    start_token: bool = True
    context: Context | None = field(default=None, compare=False, repr=False)
    map: str = "attention"

    def __post_init__(self) -> None:
        check_map(self.map)
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


def attention_to(
    words: tuple[Word, ...], layers: Layers = DEFAULT, heads: str = "mean"
) -> Attention:
    """The request for the maps of words.

    Raises:
        ValueError: no words, or words of several kinds of maps.
    """
    return Attention(positions_of(words), layers, heads, map_of(words))


def attention_around(words: tuple[Word, ...], layers: Layers = DEFAULT) -> Attention:
    """The request for the maps of the whole context that words stand in.

    Raises:
        ValueError: words of several kinds of maps.
    """
    return Attention((), layers, map=map_of(words))


def map_of(words: tuple[Word, ...]) -> str:
    """What shows where words are.

    Raises:
        ValueError: words of several kinds of maps.
    """
    maps = sorted({word.map for word in words})
    if len(maps) > 1:
        raise ValueError(
            f"words of one energy must have the same map, got {' and '.join(maps)}: choose one map "
            "in all Prompt Words of this energy"
        )
    return maps[0]
