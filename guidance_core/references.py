"""What a model showed on the way to another picture, for energies that compare with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .captures import Attention, Capture

Values = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Reference:
    """Captures of another run, per noise level, on the CPU in half precision.

    Arguments:
        captures: for each noise level the value of each request, as in an estimate.
        size: height and width of the latent they belong to.

    Raises:
        ValueError: nothing was recorded.
    """

    captures: Mapping[float, Mapping[Capture, Values]]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        if not self.captures or not all(self.captures.values()):
            raise ValueError("the reference is empty: nothing was recorded")
        packed = {
            sigma: {request: tuple(map(_packed, values)) for request, values in level.items()}
            for sigma, level in self.captures.items()
        }
        object.__setattr__(self, "captures", packed)

    def __deepcopy__(self, memo: dict[int, Any]) -> Reference:
        """Itself: nobody writes to it, and each run copies its rules with what they hold."""
        return self

    @property
    def nbytes(self) -> int:
        """Bytes that the recorded values take."""
        levels = [values for level in self.captures.values() for values in level.values()]
        return sum(value.nbytes for values in levels for value in values)

    def at(self, sigma: float, request: Capture) -> Values:
        """What was recorded of a request, at the noise level nearest to sigma.

        Some of the positions that were recorded together may be asked for.

        Raises:
            ValueError: the request was not recorded; the message lists what was.
        """
        level = self.captures[min(self.captures, key=lambda there: abs(there - sigma))]
        if request in level:
            return level[request]
        if isinstance(request, Attention) and request.positions:
            for there, values in level.items():
                places = _places(request, there)
                if places is not None:
                    return tuple(value[:, places] for value in values)
        recorded = "; ".join(map(str, level))
        raise ValueError(
            f"the reference holds no {request}: record it with the same words and layers; "
            f"recorded were {recorded}"
        )

    def like(self, values: Values, sigma: float, request: Capture) -> Values:
        """What was recorded, in the dtype, on the device and in the size of values (B, K, h, w).

        Raises:
            ValueError: neither one picture was recorded nor as many as the batch has.
        """
        recorded = self.at(sigma, request)
        if recorded[0].shape[0] not in (1, values[0].shape[0]):
            raise ValueError(
                f"the reference has {recorded[0].shape[0]} pictures, the latent batch "
                f"{values[0].shape[0]}: record one picture, or one for each sample"
            )
        return tuple(_like(there, value) for there, value in zip(recorded, values, strict=True))


def _like(recorded: Tensor, value: Tensor) -> Tensor:
    recorded = recorded.to(value.device, torch.promote_types(value.dtype, torch.float32))
    if recorded.shape[-2:] != value.shape[-2:]:
        recorded = F.interpolate(recorded, value.shape[-2:], mode="bilinear", align_corners=False)
    return recorded.expand(value.shape[0], -1, -1, -1)


def _packed(value: Tensor) -> Tensor:
    # Under inference mode this would be a tensor that autograd cannot save.
    with torch.inference_mode(False):
        return value.detach().to("cpu", torch.float16, copy=True)


def _places(request: Attention, there: Capture) -> list[int] | None:
    """Where the positions of a request stand among those recorded; None if they do not."""
    if not isinstance(there, Attention) or there.layers != request.layers:
        return None
    if not there.positions:
        return list(request.positions)
    known = there.positions
    inside = all(position in known for position in request.positions)
    return [known.index(position) for position in request.positions] if inside else None
