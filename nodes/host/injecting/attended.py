"""What the places of an image attend to in one call of the host's kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from ....guidance_core.attention.joint import Columns, Places
from ....guidance_core.attention.weights import split_mask, weights_of
from ..reading.call import Call
from ..reading.laid import Laid


@dataclass(frozen=True, eq=False)
class Attended:
    """What the places of an image attend to in one layer, and where that stands.

    Arguments:
        q: queries of the image, shape (B, heads, N, D).
        k: keys, shape (B, heads, T, D).
        mask: of these queries, as in `attention_maps`.
        scale: factor of the logits; None is D^-0.5.
        image: the image's places among the queries, and where attention is joint among the keys.
        joint: whether image and text are one sequence.
        text: the first place of the prompt's context among them.
    """

    q: Tensor
    k: Tensor
    mask: Tensor | None
    scale: float | None
    image: Places
    joint: bool
    text: int

    def columns(self, text: slice) -> Columns:
        """Where the keys stand, for a prompt at some places of its context."""
        there = slice(self.text + text.start, self.text + text.stop)
        return Columns(there, self.image if self.joint else None)

    def chunks(self, size: int) -> Iterator[Callable[[], Tensor]]:
        """What computes the attention (B, heads, n, T) of each chunk of queries."""
        parts = self.q.split(size, 2)
        for q, mask in zip(parts, split_mask(self.mask, size, len(parts)), strict=True):
            yield partial(weights_of, q, self.k, mask, self.scale)


def image_of(laid: Laid, call: Call) -> Places:
    """The image's places among the queries of a call."""
    return laid.image(call.queries(slice(0, 1)).shape[2])


def looks_of(name: str, laid: Laid, call: Call, rows: slice) -> tuple[Tensor, Tensor]:
    """Queries and keys of the image of some rows, in a layer where it attends to itself.

    Raises:
        RuntimeError: it does so in parts, or to more than this evaluation's tokens.
    """
    queries, keys = (part(slice(0, 1)).shape[2] for part in (call.queries, call.keys))
    if queries != keys:
        raise RuntimeError(
            f"layer {name}: expected an image that attends to itself as a whole, got {queries} "
            f"queries and {keys} keys: leave out what keeps frames from before or weighs guides"
        )
    return call.looked(rows, image_of(laid, call))


def attended(call: Call, rows: slice, laid: Laid) -> Attended:
    """What the image of some rows attends to in a call."""
    image, k, mask = image_of(laid, call), call.keys(rows), call.mask_of(rows)
    if mask is not None and mask.shape[-2] > 1:
        mask = mask[..., image, :]
    q = call.queries(rows)[:, :, image]
    return Attended(q, k, mask, call.scale, image, laid.tokens.joint, laid.text(k.shape[2]))
