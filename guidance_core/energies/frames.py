"""An energy of the image, for chosen frames of a video."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..gradients import settled
from ..noise import mixed_seed
from ..notes import Notes
from ..requirements import requirements_of, walk
from ..steering import check_choice
from ..types import Energy, Estimate

CHOICES = ("first", "last", "every", "random")


@dataclass(frozen=True)
class Frames:
    """Mean of another energy over some latent frames of a video, each shown as an image.

    They are decoded and differentiated one by one, so that several take the memory of one.

    Arguments:
        energy: what is asked of the image.
        frames: first, last, every (each n-th from the first on), or random (another one at each
            noise level, the same for every sample).
        n: distance of the frames of every, >= 1; 1 is all of them.
        seed: of random.
        batch_is_video: the samples of the batch are the frames of one video.

    Raises:
        ValueError: unknown frames, n below 1, or an energy that does not look at images one by one.
    """

    energy: Energy
    frames: str = "every"
    n: int = 4
    seed: int = 0
    batch_is_video: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_choice("frames", self.frames, CHOICES)
        if self.n < 1:
            raise ValueError(f"n must be >= 1, got {self.n}")
        requirements = requirements_of([self.energy])
        if not requirements.reads_image or requirements.captures:
            raise ValueError(
                "frames are chosen for energies that look at the image alone, "
                f"{type(self.energy).__name__} does not: leave Frames off"
            )
        if any(getattr(part, "reads_video", False) for part in walk(self.energy)):
            raise ValueError(
                f"{type(self.energy).__name__} compares frames of a video, and Frames shows it "
                "one: leave Frames off"
            )

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        first = not estimate.notes.terms
        notes = {index: estimate.notes.of("frame", index) for index in self.chosen(estimate)}
        frames = [replace(estimate.frame(index), notes=note) for index, note in notes.items()]
        values = [settled(self.energy, frame, rule="Frames") for frame in frames]
        if first:
            estimate.notes.terms = _mean_terms(list(notes.values()))
            estimate.notes.reached = next(iter(notes.values())).reached
        return torch.stack(values).mean(0)

    def chosen(self, estimate: Estimate) -> list[int]:
        """Numbers of the latent frames that are looked at, at the noise level of an estimate."""
        count = estimate.frames
        random = mixed_seed(self.seed, float(estimate.sigma[0])) % count
        single = {"first": 0, "last": count - 1, "random": random}
        return list(range(0, count, self.n)) if self.frames == "every" else [single[self.frames]]


def _mean_terms(notes: list[Notes]) -> dict[str, Tensor]:
    """The terms (B,) of a sum, averaged over frames."""
    return {
        name: torch.stack([note.terms[name] for note in notes]).mean(0) for name in notes[0].terms
    }
