"""Where the tokens of the image and of the text stand in a transformer's sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Given:
    """What a network is given in an evaluation.

    Arguments:
        x: latent, as the network gets it, shape (B, C, *S).
        arguments: its other arguments, by name.
    """

    x: Tensor
    arguments: dict[str, Any]

    def length(self, name: str) -> int:
        """Tokens in an argument of shape (B, N, C); 0 where it is not given."""
        states = self.arguments.get(name)
        return 0 if states is None else int(states.shape[1])


# `place(given, length, count)`: where something begins in a sequence of as many tokens, of which
# `count` are the image's.
Place = Callable[[Given, int, int], int]
# Where the image begins, or the place of each of its tokens where others stand between them, (N,).
ImagePlace = Callable[[Given, int, int], int | Tensor]


def first(given: Given, length: int, count: int) -> int:
    """At the beginning."""
    return 0


def last(given: Given, length: int, count: int) -> int:
    """The image, where it ends the sequence."""
    return length - count


def behind_text(given: Given, length: int, count: int) -> int:
    """The image, where the prompt begins the sequence and other images may end it."""
    return given.length("context")


def behind_image(given: Given, length: int, count: int) -> int:
    """The text, where the image begins the sequence."""
    return count


def before_image(given: Given, length: int, count: int) -> int:
    """The prompt, where it stands right before the image that ends the sequence."""
    return length - count - given.length("context")


def only_call(module: nn.Module) -> int:
    """Attention to the prompt is the first that a module computes."""
    return 0


@dataclass(frozen=True)
class Tokens:
    """How a family lays its tokens out.

    Arguments:
        image: the first token of the image among the queries, or the place of each.
        text: the first token of the prompt among the keys.
        joint: whether image and text are one sequence, so that the text attends to the image too.
        stream: which of a block's outputs is the image, where there are several.
        in_stream: the first token of the image in that output, or the place of each.
        batch: axis of the batch in what a block returns.
        call: `call(module)`, which of a module's attentions is that to the prompt, from 0.
    """

    image: ImagePlace = first
    text: Place = first
    joint: bool = True
    stream: int = 0
    in_stream: ImagePlace = first
    batch: int = 0
    call: Callable[[nn.Module], int] = only_call
