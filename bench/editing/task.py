"""A task of editing, and the session in which it is measured: the model and its sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from bench.editing.sources import Source, caption, object_words, word
from guidance_core.attention.words import Word
from guidance_core.captures import Capture
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle
from guidance_core.shapes.oracle import Verdict
from guidance_core.types import Energy
from tools.diffusers_host import THREE_OBJECTS, Shapes
from tools.shapes import lora

# Numbers of one image by side, unguided and guided.
Figures = Mapping[str, Mapping[str, float]]
COLOUR = slice(1, 2)  # of "big red circle"; colours fill their objects in the maps of Shapes
FULL, PLAIN, COLOURLESS = ("size", "colour", "shape"), ("colour", "shape"), ("size", "shape")
# Layers of Shapes: nouns attend to their own objects alone; a noun, and a colour, attends to
# anything only if its object is generated.
NOUNS, THERE, COLOURS = ("output.1.0",), ("middle.0.0",), ("output.2.0",)


@dataclass(frozen=True)
class Figure:
    """One number of a task: a median, mean or fraction over its images, and its bound.

    Arguments:
        name: name in the table.
        key: its name in the rows.
        kind: median, mean, low (a mean that is better low) or share (a fraction of the images),
            missing (1 - share), or p (of McNemar's test that guidance changes a share); "median up"
            is a median that is better high.
        bound: what shares, means and medians up have to reach, and others to stay below; None for
            no bound.
        relative: whether the bound is a multiple of the unguided figure.
    """

    name: str
    key: str
    kind: str
    bound: float | None = None
    relative: bool = False


@dataclass(frozen=True)
class Task:
    """Something to be edited.

    Arguments:
        name: name in the table.
        settings: energies, rule and its numbers, in the words of the nodes.
        figures: what is measured.
        figures_of: measures some seeds: figures of each image that counts.
        steps: sampling steps.
    """

    name: str
    settings: str
    figures: tuple[Figure, ...]
    figures_of: Callable[[Session, tuple[int, ...]], list[Figures]]
    steps: int = 20

    def identity(self, weights: str) -> dict[str, str]:
        """What makes batches comparable."""
        return {"weights": weights, "task": self.name, "settings": self.settings}


@dataclass(eq=False)
class Session:
    """The model, and the sources of the current batch, each generated once."""

    shapes: Shapes
    _sources: dict[Any, Source] = field(default_factory=dict)
    _seeds: tuple[int, ...] = ()

    @cached_property
    def crowded(self) -> Shapes:
        """The model with the LoRA that holds three objects."""
        return replace(self.shapes, unet=lora.merged(self.shapes.unet, THREE_OBJECTS))

    def source(
        self,
        seeds: tuple[int, ...],
        count: int,
        words: tuple[str, ...],
        other: int = 0,
        records: frozenset[Capture] = frozenset(),
        steps: int = 20,
    ) -> Source:
        """Images of random captions of `count` objects.

        Arguments:
            seeds: one for each image, of its caption and its noise.
            count: objects of a caption.
            words: what a caption names of each object: size, colour, shape.
            other: added to the seeds of the noise.
            records: what their reference holds.
            steps: sampling steps.
        """
        if seeds != self._seeds:
            self._sources, self._seeds = {}, seeds
        key = (count, words, other, records, steps)
        if key not in self._sources:
            captions = tuple(caption(seed, count, words) for seed in seeds)
            own = tuple(seed + other for seed in seeds)
            self._sources[key] = Source(self.shapes, own, captions, steps, records)
        return self._sources[key]


def tokens(source: Source, number: int, part: slice = slice(None)) -> tuple[Word, ...]:
    """An object's words, or a part of them, as one; captions of a source are built alike."""
    text = source.captions[0]
    return (word(text, *object_words(text, number)[part]),)


def verdicts(
    source: Source, energy: Energy, strength: PercentWindow, stop: float = 0.0, **options: Any
) -> list[Verdict]:
    """What the oracle sees after Forward; `options` are fields of the sampler's settings."""
    return oracle.judge(source.guided([Forward(energy, strength, stop=stop)], **options))


def compared(
    source: Source,
    guided: Sequence[Verdict],
    figures: Callable[[int, Verdict], Mapping[str, float]],
    counts: Callable[[int], bool] = lambda i: True,
) -> list[Figures]:
    """Figures of the source and of the guided images, for those that count."""
    pairs = enumerate(zip(source.verdicts, guided, strict=True))
    return [
        {"unguided": figures(i, before), "guided": figures(i, after)}
        for i, (before, after) in pairs
        if counts(i)
    ]
