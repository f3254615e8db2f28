"""Objects in outlines that are drawn or recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from bench.editing.placement import MAPS, PLACING, TRIES
from bench.editing.sources import Source, distance, found, object_words, place
from bench.editing.task import COLOUR, FULL, Figures, Session, tokens
from guidance_core.energies.shape import Shape
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.oracle import Verdict
from guidance_core.shapes.scenes import PALETTE, SIDE, Item
from guidance_core.types import Energy

STEPS = 10
ENOUGH = 0.75  # intersection over union of a filled outline
NEAR = 0.1  # of the image: an object counts as where it was
RADII = {"small": 13.0, "big": 20.5}
CENTRES = ((0.3, 0.35), (0.7, 0.35), (0.3, 0.65), (0.7, 0.65), (0.5, 0.4), (0.65, 0.5), (0.35, 0.5))


def pixels_of(image: Tensor, colour: str) -> Tensor:
    """The pixels of an image (3, 128, 128) that are nearest to a colour: (128, 128) bool."""
    near: Tensor = oracle.nearest(image[None])[0] == 1 + tuple(PALETTE).index(colour)
    return near


def overlap(mask: Tensor, other: Tensor) -> float:
    """Intersection over union of two masks; 0 where both are empty."""
    return float((mask & other).sum() / (mask | other).sum().clamp_min(1))


def guided(
    source: Source, energy: Energy, strength: PercentWindow = PLACING, tries: int = 1
) -> Tensor:
    """Images after Forward, the early steps three times; of several tries the best."""
    recurrences, end = TRIES
    rules = [Forward(energy, strength)]
    return source.guided(rules, recurrences=recurrences, end_percent=end, tries=tries)


def seen(
    before: Tensor,
    after: Tensor,
    figures: Callable[[int, Tensor, Verdict], Mapping[str, float]],
    counts: Sequence[bool] | None = None,
) -> list[Figures]:
    """Figures of each image that counts, from its pixels and what the oracle says of it."""
    sides = [list(zip(images, oracle.judge(images), strict=True)) for images in (before, after)]
    return [
        {"unguided": figures(i, *sides[0][i]), "guided": figures(i, *sides[1][i])}
        for i in range(len(before))
        if counts is None or counts[i]
    ]


def outline(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """One object, in an outline that was drawn."""
    source = session.source(seeds, 1, FULL, steps=STEPS)
    drawn = [
        scenes.inside(drawing(text, seed))
        for text, seed in zip(source.captions, seeds, strict=True)
    ]
    words = tokens(source, 0, COLOUR)
    energy = Shape(words, torch.stack(drawn).float(), measure="with layout")

    def figures(i: int, image: Tensor, verdict: Verdict) -> Mapping[str, float]:
        filled = overlap(pixels_of(image, object_words(source.captions[i], 0)[1]), drawn[i])
        kept = verdict.matches(source.captions[i])
        return {"overlap": filled, "filled": filled >= ENOUGH, "kept": kept}

    return seen(source.images, guided(source, energy), figures)


def drawing(text: str, seed: int) -> Item:
    """The object of a caption, at one of several places."""
    size, colour, shape = object_words(text, 0)
    x, y = CENTRES[seed % len(CENTRES)]
    return Item(shape, colour, size, x * SIDE, y * SIDE, RADII[size])


def new_look(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """Another colour and another seed, at the place and in the outline of a recorded object."""
    old = session.source(seeds, 1, FULL, other=1000, records=MAPS, steps=STEPS)
    names = [object_words(text, 0) for text in old.captions]
    captions = tuple(
        text.replace(own[1], after(own[1])) for text, own in zip(old.captions, names, strict=True)
    )
    there = [found(v, own) for v, own in zip(old.verdicts, names, strict=True)]
    source = Source(session.shapes, seeds, captions, STEPS)
    words = tokens(source, 0, COLOUR)
    kept = {"reference": old.reference, "source": tokens(old, 0, COLOUR), "moment": "last step"}
    kept["measure"] = "with layout"
    energy = Shape(words, **kept)

    def figures(i: int, image: Tensor, verdict: Verdict) -> Mapping[str, float]:
        colour = object_words(captions[i], 0)[1]
        filled = overlap(pixels_of(image, colour), pixels_of(old.images[i], names[i][1]))
        drift = distance(found(verdict, object_words(captions[i], 0)), *place(there[i]))
        return {"overlap": filled, "shown": verdict.matches(captions[i]), "drift": drift}

    counts = [item is not None for item in there]
    return seen(source.images, guided(source, energy), figures, counts)


def after(colour: str) -> str:
    """The next colour of the palette."""
    names = tuple(PALETTE)
    return names[(names.index(colour) + 1) % len(names)]
