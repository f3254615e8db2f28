"""Watch a run without steering it: the reference that energies of editing compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..captures import Capture
from ..run import Run
from ..types import Denoiser, Estimate


@dataclass(frozen=True, eq=False)
class Recording:
    """Hand what the model shows inside to a sink, and leave the estimate as it is.

    Arguments:
        captures: what to read.
        sink: receives the noise level and the value of each request; a plain function, so that
            the copies of this rule share it.

    Raises:
        ValueError: there is nothing to read.
    """

    captures: frozenset[Capture]
    sink: Callable[[float, Mapping[Capture, tuple[Tensor, ...]]], None]
    through_model: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.captures:
            raise ValueError("nothing to record: choose maps, features or both")

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One evaluation, recorded."""
        estimate = denoise(x, sigma)
        values = {request: estimate.capture(request) for request in self.captures}
        self.sink(float(sigma[0]), values)
        return estimate
