"""The model at hand while pictures are edited, and what a task of editing is."""

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
from tools.demo import diffusers_host
from tools.shapes import lora

Row = Mapping[str, Mapping[str, float]]
COLOUR = slice(1, 2)  # of "big red circle"; colours fill their objects in the maps of Shapes
FULL, PLAIN, COLOURLESS = ("size", "colour", "shape"), ("colour", "shape"), ("size", "shape")
# Layers of Shapes where nouns are seen in their objects alone; where a noun, and where a colour, is
# seen at all only if its object is painted.
NOUNS, THERE, COLOURS = ("output.1.0",), ("middle.0.0",), ("output.2.0",)


@dataclass(frozen=True)
class Figure:
    """One number of a task: a median, mean or share over its pictures, and the bound asked of it.

    Arguments:
        name: name in the table.
        key: its name in the rows.
        kind: median, mean or share.
        bound: what is asked of it; None is nothing. Shares and means have to reach it, medians to
            stay below.
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
        rows: measures some seeds; unguided and guided figures for each picture that counts.
        steps: sampling steps.
    """

    name: str
    settings: str
    figures: tuple[Figure, ...]
    rows: Callable[[Desk, tuple[int, ...]], list[Row]]
    steps: int = 20


@dataclass(eq=False)
class Desk:
    """The model, and the sources of the batch at hand, each painted once."""

    shapes: diffusers_host.Shapes
    _sources: dict[Any, Source] = field(default_factory=dict)
    _seeds: tuple[int, ...] = ()

    @cached_property
    def crowded(self) -> diffusers_host.Shapes:
        """The model with the LoRA that holds three objects."""
        unet = lora.merged(self.shapes.unet, diffusers_host.THREE_OBJECTS)
        return replace(self.shapes, unet=unet)

    def source(
        self,
        seeds: tuple[int, ...],
        count: int,
        words: tuple[str, ...],
        other: int = 0,
        records: frozenset[Capture] = frozenset(),
    ) -> Source:
        """Pictures of random captions of some objects; `other` shifts the seeds of the noise.

        `records` is what their reference holds.
        """
        if seeds != self._seeds:
            self._sources, self._seeds = {}, seeds
        key = (count, words, other, records)
        if key not in self._sources:
            captions = tuple(caption(seed, count, words) for seed in seeds)
            own = tuple(seed + other for seed in seeds)
            self._sources[key] = Source(self.shapes, own, captions, 20, records)
        return self._sources[key]


def tokens(source: Source, number: int, part: slice = slice(None)) -> tuple[Word, ...]:
    """An object's words, or a part of them, as one; captions of a source are built alike."""
    text = source.captions[0]
    return (word(text, *object_words(text, number)[part]),)


def verdicts(
    source: Source, energy: Energy, strength: PercentWindow, stop: float = 0.0, **options: Any
) -> list[Verdict]:
    """What Forward makes of a source; `options` are those of `model.sample`."""
    return oracle.judge(source.painted([Forward(energy, strength, stop=stop)], **options))


def rows_of(
    source: Source,
    guided: Sequence[Verdict],
    figures: Callable[[int, Verdict], Mapping[str, float]],
    counts: Callable[[int], bool] = lambda i: True,
) -> list[Row]:
    """Figures of the source and of the guided pictures, for those that count."""
    pairs = enumerate(zip(source.verdicts, guided, strict=True))
    return [
        {"unguided": figures(i, before), "guided": figures(i, after)}
        for i, (before, after) in pairs
        if counts(i)
    ]
