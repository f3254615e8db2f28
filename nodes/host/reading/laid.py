"""Where image and text stand in one evaluation of a transformer."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from ....guidance_core.attention.joint import Places
from .tokens import Given, ImagePlace, Tokens


class Laid:
    """How the tokens of one evaluation are laid out.

    Arguments:
        tokens: where a family has them.
        patch: sides of an image token, in latent pixels: (height, width), with frames before them.
        args: what the network is given.
        kwargs: what it is given by name.
    """

    def __init__(
        self, tokens: Tokens, patch: tuple[int, ...], args: tuple, kwargs: dict[str, Any]
    ) -> None:
        # LTX-2 is given a list: the video, and its sound where there is one.
        x = args[0][0] if isinstance(args[0], list) else args[0]
        self.tokens, self.given = tokens, Given(x, kwargs)
        sides = x.shape[2:] if x.ndim == 5 else (1, *x.shape[2:])
        patch = (*(1,) * (3 - len(patch)), *patch)
        frames, *size = (-(-side // part) for side, part in zip(sides, patch, strict=True))
        self.size = (frames, *size) if frames > 1 else tuple(size)
        self.count = math.prod(self.size)

    def image(self, length: int) -> Places:
        """The image in a sequence of as many tokens."""
        return self._places(self.tokens.image, length)

    def text(self, length: int) -> int:
        """The first token of the prompt's context among as many keys."""
        return self.tokens.text(self.given, length, self.count)

    def stream(self, output: Any) -> Tensor:
        """The image's of what a block returned, or that of all tokens, batch first."""
        several = isinstance(output, (tuple, list))
        stream: Tensor = output[self.tokens.stream] if several else output
        return stream.movedim(self.tokens.batch, 0)

    def in_stream(self, output: Any) -> Places:
        """The image among the tokens of that stream."""
        several = isinstance(output, (tuple, list))
        length = math.prod(self.stream(output).shape[1:-1])
        if several and self.tokens.joint:
            return self._places(self.tokens.in_stream, length)
        return self.image(length)

    def _places(self, place: ImagePlace, length: int) -> Places:
        begin = place(self.given, length, self.count)
        return begin if isinstance(begin, Tensor) else slice(begin, begin + self.count)
