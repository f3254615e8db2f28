"""What is asked of Shapes, and how the oracle tells whether it was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch

from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.clip_text import ClipText
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.networks import classifier, clip
from guidance_core.shapes.oracle import Verdict
from guidance_core.types import Energy
from tools.demo.diffusers_host import WEIGHTS


@dataclass(frozen=True)
class Task:
    """One target for the empty prompt.

    Arguments:
        name: name in the tables.
        asks: what is asked, in words of the scenes; one object has to be all of them.
        build: its energy, with the guide networks on a device.
    """

    name: str
    asks: str
    build: Callable[[torch.device], Energy]

    def satisfied(self, verdict: Verdict) -> bool:
        """Whether some whole object is everything that is asked."""
        words = set(self.asks.split()) - {"a"}
        return any(words <= {i.shape, i.colour, i.size} for i in verdict.items)


@cache
def _classifier(device: torch.device) -> torch.nn.Module:
    return classifier.load(WEIGHTS / "classifier.safetensors").to(device)


@cache
def _clip(device: torch.device) -> torch.nn.Module:
    return clip.load(WEIGHTS / "open_clip.safetensors").to(device)


def _labels(*names: str) -> Callable[[torch.device], Energy]:
    def build(device: torch.device) -> Energy:
        parts = tuple((1.0, ClassLabel(_classifier(device), name)) for name in names)
        return parts[0][1] if len(parts) == 1 else WeightedSum(parts)

    return build


def _text(sentence: str) -> Callable[[torch.device], Energy]:
    return lambda device: ClipText(_clip(device), sentence)


TASKS = (
    Task("colour label", "red", _labels("red")),
    Task("shape label", "circle", _labels("circle")),
    Task("two labels", "red circle", _labels("red", "circle")),
    Task("CLIP text", "a big blue square", _text("a big blue square")),
)
