"""An object that follows a path along a batch of images that stands for time."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.editing.outlines import STEPS
from bench.editing.placement import TRIES
from bench.editing.sources import Source, caption, distance, found, object_words
from bench.editing.task import PLAIN, Figures, Session, tokens
from guidance_core.attention.keyframes import Keyframes, along
from guidance_core.energies.position import Position
from guidance_core.energies.temporal import Temporal
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle

FRAMES = 6
FOLLOWING = PercentWindow(0.0, 0.9, "linear_down", 4.0)
STEADYING = PercentWindow(0.0, 1.0, value=0.5)
FIRST_PATH = 70_000_000  # paths are drawn from seeds of their own


def path_of(seed: int) -> Keyframes:
    """A straight path from one side to the other, at heights where a big object is whole."""
    generator = torch.Generator().manual_seed(FIRST_PATH + seed)
    start, end, way = torch.rand(3, generator=generator).tolist()
    ends = (0.28, 0.3 + 0.4 * start), (0.72, 0.3 + 0.4 * end)
    first, last = ends if way < 0.5 else ends[::-1]
    return Keyframes(((0.0, first), (1.0, last)))


def flicker(images: Tensor) -> float:
    """RMS distance of the frames' mean colours from their mean, in grey levels of 255."""
    means = 255 * images.mean((2, 3))
    return float((means - means.mean(0)).square().mean().sqrt())


def along_a_path(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """Videos of one object whose size the prompt leaves open; a row for each frame."""
    return [row for seed in seeds for row in video(session, seed)]


def video(session: Session, seed: int) -> list[Figures]:
    """One video: its frames begin with noise of their own."""
    text = caption(seed, 1, PLAIN)
    own = tuple(1_000_000 + FRAMES * seed + frame for frame in range(FRAMES))
    source = Source(session.shapes, own, (text,) * FRAMES, STEPS)
    path, words = path_of(seed), tokens(source, 0, slice(1))
    rules = [
        Forward(Temporal(batch_is_video=True), STEADYING),
        Forward(Position(words, path, batch_is_video=True), FOLLOWING),
    ]
    recurrences, end = TRIES
    sides = {
        "unguided": source.images,
        "guided": source.guided(rules, recurrences=recurrences, end_percent=end),
    }
    points, names = along(path, FRAMES), object_words(text, 0)
    errors = {
        side: [
            distance(found(verdict, names), *point)
            for verdict, point in zip(oracle.judge(images), points, strict=True)
        ]
        for side, images in sides.items()
    }
    shown = {side: flicker(images) for side, images in sides.items()}
    return [
        {side: {"error": errors[side][i], "flicker": shown[side]} for side in sides}
        for i in range(FRAMES)
    ]
