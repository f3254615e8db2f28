"""What a model showed while it sampled another image, for energies that compare with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..captures import Attention, Capture, Layers
from ..process import lengths
from ..types import Estimate
from .maps import word_maps
from .words import Word, attention_to

Values = tuple[Tensor, ...]
# What of a recording is compared with: at the sample's own noise level, or what it ended with.
MOMENTS = ("same step", "last step")


@dataclass(frozen=True, eq=False)
class Reference:
    """Captures of another run, per noise level, on the CPU in half precision.

    Arguments:
        recorded: for each noise level the value of each request, as in an estimate.
        size: height and width of the latent they belong to.

    Raises:
        ValueError: nothing was recorded.
    """

    recorded: Mapping[float, Mapping[Capture, Values]]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        if not self.recorded or not all(self.recorded.values()):
            raise ValueError("the reference is empty: nothing was recorded")
        packed = {
            sigma: {request: tuple(map(_packed, values)) for request, values in level.items()}
            for sigma, level in self.recorded.items()
        }
        object.__setattr__(self, "recorded", packed)

    def __deepcopy__(self, memo: dict[int, Any]) -> Reference:
        """Itself: nobody writes to it, and each run copies its rules with what they hold."""
        return self

    @property
    def nbytes(self) -> int:
        """Bytes that the recorded values take."""
        levels = [values for level in self.recorded.values() for values in level.values()]
        return sum(value.nbytes for values in levels for value in values)

    def check(self, latent: Tensor, places: int | None = None) -> None:
        """Refuse a run that this reference does not fit.

        Arguments:
            latent: shape (B, C, *S), of the run.
            places: places in the positive prompt's context of the run, where they are known.

        Raises:
            ValueError: another size, another number of images, or a prompt of another length.
        """
        here = tuple(latent.shape[-2:])
        if here != tuple(self.size):
            raise ValueError(
                f"the reference was recorded at a latent of {self.size[0]} x {self.size[1]}, this "
                f"run has {here[0]} x {here[1]}: record it at the size of the run"
            )
        for request, values in next(iter(self.recorded.values())).items():
            _check_batch(values[0], len(latent))
            there = values[0].shape[1]
            whole = isinstance(request, Attention) and not request.positions
            if whole and places is not None and places != there:
                raise ValueError(
                    f"the reference was recorded with a prompt of {there} places, this run's has "
                    f"{places}: record it with a prompt of the same length, best the same"
                )

    def at(self, sigma: float, request: Capture) -> Values:
        """What was recorded of a request, at the noise level nearest to sigma.

        Some of the positions that were recorded together may be asked for, and the mean of heads
        that were recorded each.

        Raises:
            ValueError: the request was not recorded; the message lists what was.
        """
        level = self.recorded[min(self.recorded, key=lambda there: abs(there - sigma))]
        if request in level:
            return level[request]
        for there, values in level.items():
            places = _places(request, there, values[0].shape[1])
            if places is not None:
                parts = tuple(value[:, places] for value in values)
                mean = there.heads != request.heads  # type: ignore[union-attr]
                return tuple(part.mean(2) for part in parts) if mean else parts
        recorded = "; ".join(map(str, level))
        raise ValueError(
            f"the reference holds no {request}: record it with the same words, layers and heads; "
            f"recorded was {recorded}"
        )

    def like(self, values: Values, sigma: float, request: Capture) -> Values:
        """What was recorded, in the dtype and on the device of values (B, K, ...), in its shape.

        Raises:
            ValueError: neither one image was recorded nor as many as the batch has, or the
                values are of another shape.
        """
        recorded = self.at(sigma, request)
        _check_batch(recorded[0], values[0].shape[0])
        return tuple(_like(there, value) for there, value in zip(recorded, values, strict=True))


class Shown:
    """Stands in an energy for a reference that is made at every step, by `rules.beside`."""


def maps_recorded(
    reference: Reference,
    estimate: Estimate,
    words: tuple[Word, ...],
    layers: Layers,
    source: tuple[Word, ...] = (),
    moment: str = MOMENTS[0],
) -> list[Tensor]:
    """Maps of words in a reference, (B, W, h, w) per layer.

    Arguments:
        reference: another run.
        estimate: of this run.
        words: words of this run's prompt.
        layers: layers of attention to read.
        source: the words in the reference's prompt, where that is another.
        moment: the noise level: the estimate's own, or the last that was recorded.
    """
    there = attention_to(source or words, layers)
    count = len(there.positions)
    # As many maps of each layer as the source's words have tokens.
    like = tuple(
        maps[:, :1].expand(-1, count, *maps.shape[2:])
        for maps in estimate.capture(attention_to(words, layers))
    )
    sigma = float(estimate.sigma[0]) if moment == "same step" else 0.0
    recorded = reference.like(like, sigma, there)
    return word_maps(recorded, there, source or words)


def _check_batch(recorded: Tensor, batch: int) -> None:
    if recorded.shape[0] not in (1, batch):
        raise ValueError(
            f"the reference has {recorded.shape[0]} images, the latent batch {batch}: record one "
            "image, or one for each sample"
        )


def _like(recorded: Tensor, value: Tensor) -> Tensor:
    recorded = recorded.to(value.device, torch.promote_types(value.dtype, torch.float32))
    if recorded.shape[1:] != value.shape[1:]:
        raise ValueError(
            f"the reference holds values of {lengths(recorded[0])}, this run has "
            f"{lengths(value[0])}: record it with the same model, size and prompt"
        )
    return recorded.expand(value.shape)


def _packed(value: Tensor) -> Tensor:
    # Under inference mode this would be a tensor that autograd cannot save.
    with torch.inference_mode(False):
        return value.detach().to("cpu", torch.float16, copy=True)


def _places(request: Capture, there: Capture, count: int) -> list[int] | None:
    """Where the positions of a request stand among the `count` recorded; None if they do not."""
    if not (isinstance(request, Attention) and isinstance(there, Attention)):
        return None
    if (there.layers, there.map) != (request.layers, request.map):
        return None
    if there.heads not in (request.heads, "each"):
        return None
    known = there.positions or tuple(range(count))
    wanted = request.positions or (() if there.positions else known)
    inside = wanted and all(position in known for position in wanted)
    return [known.index(position) for position in wanted] if inside else None
