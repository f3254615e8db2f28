"""What is asked of Shapes, and how the oracle tells whether it was done."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from bench.records import fingerprint_with
from guidance_core.attention.words import Word
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.clip_text import ClipText
from guidance_core.energies.measurement import Measurement
from guidance_core.energies.position import Position
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.image.degradations import GaussianBlur, Hide, Operator, Shrink
from guidance_core.noise import seeded_noise
from guidance_core.shapes.oracle import Verdict
from guidance_core.shapes.scenes import SIDE, Item, Scene
from guidance_core.types import Energy
from tools.diffusers_host import guide_network
from tools.shapes.unseen import scenes_from

NOISE = 0.05  # of a measurement of images in [0, 1]; DPS has it in [-1, 1]
NEAR = 12.0  # pixels between an object and its true or its asked place
# A device, true images, and the confidence from which labels have no effect.
Build = Callable[[torch.device, Tensor, float], Energy]


@dataclass(frozen=True)
class Task:
    """One target.

    Arguments:
        name: name in the tables.
        asks: what is asked, in words of the scenes; one object has to be all of them. Empty where
            a scene is to be restored from a measurement of it.
        build: its energy, on a device, for true images (B, 3, 128, 128) that only measurements
            use, and a confidence that only labels use (1 is the published energy).
        prompt: the prompt.
        place: x and y asked for the object's centre, in [0, 1]; None for any.
        start: first images, from measurements of true ones alone; None elsewhere.
        denoise: fraction of the noise schedule to run from there.
        most: steps from there at most.
        hides: whether a part of the true image is not measured at all.
        networks: guide networks of Shapes that its energy uses.
    """

    name: str
    asks: str
    build: Build
    prompt: str = ""
    place: tuple[float, float] | None = None
    start: Callable[[Tensor], Tensor] | None = None
    denoise: float = 1.0
    most: int = 10
    hides: bool = False
    networks: tuple[str, ...] = ()

    @property
    def weights(self) -> str:
        """Fingerprint of the weights that take part."""
        return fingerprint_with(self.networks)

    @property
    def restores(self) -> bool:
        """Whether a true scene is to be restored."""
        return not self.asks

    def satisfied(self, verdict: Verdict, scene: Scene) -> bool:
        """Whether some object is everything that is asked, or each true one is there again."""
        if self.restores:
            return all(any(_same(item, seen) for seen in verdict.items) for item in scene.items)
        words = set(self.asks.split()) - {"a"}
        return any(
            words <= {i.shape, i.colour, i.size} and self._in_place(i) for i in verdict.items
        )

    def _in_place(self, item: Item) -> bool:
        if self.place is None:
            return True
        x, y = (SIDE * part for part in self.place)
        return math.hypot(item.x - x, item.y - y) < NEAR


def _same(item: Item, seen: Item) -> bool:
    alike = (item.shape, item.colour, item.size) == (seen.shape, seen.colour, seen.size)
    return alike and math.hypot(item.x - seen.x, item.y - seen.y) < NEAR


def scenes_of(seed: int, count: int) -> list[Scene]:
    """Scenes to be restored, one for each seed from `seed` on."""
    return scenes_from(80_000_000 + seed, count)


def _labels(*names: str) -> Build:
    def build(device: torch.device, truth: Tensor, confidence: float) -> Energy:
        network = guide_network("classifier", device)
        parts = tuple((1.0, ClassLabel(network, name, confidence)) for name in names)
        return parts[0][1] if len(parts) == 1 else WeightedSum(parts)

    return build


def _text(sentence: str) -> Build:
    # No cutouts: the CLIP of Shapes knows whole scenes only.
    return lambda device, truth, confidence: ClipText(
        guide_network("open_clip", device), sentence, cutouts=0
    )


def _at(place: tuple[float, float]) -> Build:
    # Start, a, big, red, circle.
    words = (Word("big red circle", (2, 3, 4)),)
    return lambda device, truth, confidence: Position(words, place)


def _restored(name: str, operator: Operator, denoise: float = 0.5, most: int = 10) -> Task:
    """Restoring from a measurement with noise of its own for each image."""

    def measured(truth: Tensor) -> Tensor:
        seen = operator(truth)
        return seen + NOISE * seeded_noise(seen, 81)

    def build(device: torch.device, truth: Tensor, confidence: float) -> Energy:
        return Measurement(measured(truth).to(device), operator, NOISE)

    def start(truth: Tensor) -> Tensor:
        shown = interpolate(measured(truth), (SIDE, SIDE), mode="bicubic").clamp(0, 1)
        known = operator(torch.ones_like(truth))
        if known.shape != truth.shape or known.min() > 0:
            return shown
        colour = (shown * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True)
        return torch.lerp(colour, shown, known)

    steps = {"denoise": denoise, "most": most}
    return Task(name, "", build, start=start, **steps, hides=isinstance(operator, Hide))


def _half() -> Tensor:
    """A mask of the right half of an image."""
    missing = torch.zeros(SIDE, SIDE)
    missing[:, SIDE // 2 :] = 1
    return missing


PLACE = (0.3, 0.7)
CLASSIFIER, CLIP = ("classifier",), ("open_clip",)
TASKS = (
    Task("colour label", "red", _labels("red"), networks=CLASSIFIER),
    Task("shape label", "circle", _labels("circle"), networks=CLASSIFIER),
    Task("two labels", "red circle", _labels("red", "circle"), networks=CLASSIFIER),
    Task("CLIP text", "a big blue square", _text("a big blue square"), networks=CLIP),
    _restored("super-resolution x4", Shrink(4, "bicubic")),
    _restored("deblurring", GaussianBlur(3.0)),
    _restored("inpainting", Hide(_half()), denoise=0.4, most=20),
    Task(
        "position",
        "a big red circle",
        _at(PLACE),
        prompt="a big red circle",
        place=PLACE,
    ),
)
