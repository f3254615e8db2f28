"""Ranges of arguments at both of their ends: what is in, and the next number that is out."""

from __future__ import annotations

import math

import pytest
import torch

from guidance_core.attention.words import Word
from guidance_core.energies.box import Box
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.clip_image import ClipImage
from guidance_core.energies.clip_text import ClipText
from guidance_core.energies.color import MeanColor
from guidance_core.energies.detection import Detection
from guidance_core.energies.masked import Masked
from guidance_core.energies.measurement import Measurement
from guidance_core.energies.palette import Palette
from guidance_core.energies.position import Position
from guidance_core.energies.segmentation import Segmentation
from guidance_core.energies.shape import Shape
from guidance_core.energies.size import Size
from guidance_core.energies.smoothed import Smoothed
from guidance_core.energies.structure import Structure
from guidance_core.image.batches import check_images
from guidance_core.image.degradations import GaussianBlur, Hide, MotionBlur, Shrink
from guidance_core.procedures.white_noise import WhiteNoise
from guidance_core.schedules import Constant, PercentPoints, PercentWindow, Window
from tests.core.toys import (
    TinyClassifier,
    TinyClip,
    TinyDetector,
    TinySegmenter,
    TinyViT,
    seeded,
    toward,
)

WORDS = (Word("circle", (1,)),)
HALF = (0.2, 0.2, 0.6, 0.6)
PICTURE = seeded(1, 3, 8, 8).sigmoid()
RED = torch.tensor([1.0, 0.0, 0.0])
MASK = torch.ones(4, 4)
ABOVE = math.nextafter(1.0, 2.0)
EPS = 2**-20  # a step that single precision sees


def pixel(value: float) -> torch.Tensor:
    return torch.full((1, 3, 1, 1), value)


def points(*pairs: tuple[float, float]) -> PercentPoints:
    return PercentPoints(pairs)


# What makes a thing of one number; numbers that are in; numbers that are out.
RANGES = {
    "box, left": (lambda v: Box(WORDS, (v, 0.1, 0.5, 0.9)), (0.0, 0.49), (-EPS, 0.5)),
    "box, top": (lambda v: Box(WORDS, (0.1, v, 0.9, 0.5)), (0.0, 0.49), (-EPS, 0.5)),
    "box, right": (lambda v: Box(WORDS, (0.5, 0.1, v, 0.9)), (1.0, 0.51), (ABOVE, 0.5)),
    "box, bottom": (lambda v: Box(WORDS, (0.1, 0.5, 0.9, v)), (1.0, 0.51), (ABOVE, 0.5)),
    "box, angle": (lambda v: Box(WORDS, HALF, angle=v), (-180, 180), (-180.1, 180.1, math.nan)),
    "shape, angle": (lambda v: Shape(WORDS, MASK, angle=v), (-180, 180), (-180.1, 180.1)),
    "shape, x": (lambda v: Shape(WORDS, MASK, shift=(v, 0)), (-1, 1), (-ABOVE, ABOVE)),
    "shape, y": (lambda v: Shape(WORDS, MASK, shift=(0, v)), (-1, 1), (-ABOVE, ABOVE)),
    "shape, scale": (lambda v: Shape(WORDS, MASK, scale=v), (EPS,), (0.0, -1, math.nan)),
    "position, x": (lambda v: Position(WORDS, (v, 0.5)), (0, 1), (-EPS, ABOVE)),
    "position, y": (lambda v: Position(WORDS, (0.5, v)), (0, 1), (-EPS, ABOVE, math.nan)),
    "size": (lambda v: Size(WORDS, v), (EPS, 1 - EPS), (0.0, 1.0)),
    "colour": (lambda v: MeanColor(v * RED), (0, 1), (-EPS, 1 + EPS)),
    "share of a colour": (lambda v: MeanColor(RED, v), (EPS, 1), (0, ABOVE)),
    "palette": (lambda v: Palette(v * RED[None]), (0, 1), (-EPS, 1 + EPS)),
    "confidence": (lambda v: ClassLabel(TinyClassifier(), "red", v), (EPS, 1), (0, ABOVE)),
    "enough": (lambda v: ClipText(TinyClip(), "a", enough=v), (0, 1), (-EPS, ABOVE, math.nan)),
    "least cutout": (lambda v: ClipImage(TinyClip(), PICTURE, least=v), (EPS, 1), (0, ABOVE)),
    "cutouts": (lambda v: ClipImage(TinyClip(), PICTURE, cutouts=v), (0, 1), (-1,)),
    "detection, left": (
        lambda v: Detection(TinyDetector(), torch.tensor([[v, 0.1, 0.5, 0.9]]), ("cat",)),
        *((0, 0.49), (-EPS, 0.5)),
    ),
    "detection, bottom": (
        lambda v: Detection(TinyDetector(), torch.tensor([[0.1, 0.5, 0.9, v]]), ("cat",)),
        *((1, 0.51), (1 + EPS, 0.5)),
    ),
    "class": (lambda v: Segmentation(TinySegmenter(), MASK.long() * v), (0, 2), (-1, 3)),
    "temperature": (lambda v: Structure(TinyViT(), PICTURE, "contrast", v), (EPS,), (0, -1)),
    "gamma": (lambda v: Smoothed(toward(), v), (0,), (-EPS, math.nan)),
    "samples": (lambda v: Smoothed(toward(), 1.0, v), (1,), (0,)),
    "noise": (lambda v: Measurement(PICTURE, noise=v), (0,), (-EPS, math.nan)),
    "mask": (lambda v: Masked(MeanColor(RED), MASK * v), (EPS, 1), (0, -EPS, 1 + EPS)),
    "hidden": (lambda v: Hide(MASK * v), (0, 1 - EPS), (-EPS, 1, 1 + EPS)),
    "images": (lambda v: check_images(pixel(v)), (0, 1), (-EPS, 1 + EPS, math.nan)),
    "factor": (lambda v: Shrink(v), (1,), (0,)),
    "blur": (lambda v: GaussianBlur(v), (EPS,), (0, -1)),
    "length": (lambda v: MotionBlur(v), (3, 5), (1, 2, 4)),
    "whitening": (lambda v: WhiteNoise(v), (EPS,), (0, -1, math.nan)),
    "strength": (lambda v: Constant(v), (0, 9), (-EPS, math.inf, math.nan)),
    "start": (lambda v: PercentWindow(v, 0.5), (0, 0.49), (-EPS, 0.5)),
    "end": (lambda v: PercentWindow(0.5, v), (1, 0.51), (ABOVE, 0.5)),
    "sigma_end": (lambda v: Window(2.0, v), (0, 1.9), (-EPS, 2.0)),
    "first point": (lambda v: points((v, 1), (0.5, 1)), (0, 0.49), (-EPS, 0.5)),
    "last point": (lambda v: points((0.5, 1), (v, 1)), (1, 0.51), (ABOVE, 0.5)),
    "height of a point": (lambda v: points((0, v), (1, 1)), (0, 9), (-EPS, math.inf)),
}
EACH = pytest.mark.parametrize(("make", "inside", "outside"), RANGES.values(), ids=RANGES.keys())


@EACH
def test_a_range_holds_its_ends_and_nothing_beyond(make, inside, outside):
    for value in inside:
        make(value)
    for value in outside:
        with pytest.raises(ValueError):  # the words are tested beside each subject
            make(value)
