"""The looks of objects, and objects that would be forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.editing.desk import (
    COLOURLESS,
    COLOURS,
    NOUNS,
    PLAIN,
    Desk,
    Row,
    rows_of,
    tokens,
    verdicts,
)
from bench.editing.sources import distance, found, object_words, place, word
from guidance_core.captures import Attention, Features
from guidance_core.energies.appearance import Appearance
from guidance_core.energies.binding import Binding
from guidance_core.energies.presence import Presence
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.schedules import PercentWindow
from guidance_core.shapes.oracle import Verdict

LOOKS = PercentWindow(0.2, 1.0, "linear_down", 2.0)
MANY = PercentWindow(0.0, 0.8, "linear_down", 4.0)


def appearance(desk: Desk, seeds: tuple[int, ...]) -> list[Row]:
    """The look of another picture for an object whose colour the prompt leaves open.

    Guidance begins when the place is decided, so that nothing else has to hold it.
    """
    source = desk.source(seeds, 1, COLOURLESS)
    seen = frozenset({Attention((), NOUNS[1:]), Features()})
    look = desk.source(seeds, 1, PLAIN, other=1000, records=seen)
    words = tokens(source, 0, slice(1, 2))
    energy = Appearance(words, look.reference, NOUNS[1:])
    names = [object_words(text, 0) for text in source.captions]
    there = [found(v, own) for v, own in zip(source.verdicts, names, strict=True)]
    looks = [found(v, own[1:]) for v, own in zip(look.verdicts, names, strict=True)]

    def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
        items = verdict.items
        item = items[0] if len(items) == 1 else None
        kept = item is not None and item.shape == there[i].shape
        return {
            "colour": item is not None and item.colour == looks[i].colour,
            "shape": kept,
            "drift": distance(item, *place(there[i])),
        }

    differ = lambda i: there[i] and looks[i] and there[i].colour != looks[i].colour
    return rows_of(source, verdicts(source, energy, LOOKS), figures, lambda i: bool(differ(i)))


def complete(width: int) -> Callable[[Desk, tuple[int, ...]], list[Row]]:
    """Three objects, which the model was not trained on, each with its colour."""

    def rows(desk: Desk, seeds: tuple[int, ...]) -> list[Row]:
        source = desk.source(seeds, 3, PLAIN, width=width)
        text = source.captions[0]
        pairs = [[word(text, name) for name in object_words(text, k)] for k in range(3)]
        others = lambda own: tuple(name for pair in pairs if pair is not own for name in pair)
        energy = WeightedSum(
            (
                (1.0, Presence(tuple(noun for _, noun in pairs), NOUNS)),
                (1.0, Presence(tuple(colour for colour, _ in pairs), COLOURS)),
                *((0.1, Binding(tuple(own), others(own), NOUNS[1:] + COLOURS)) for own in pairs),
            )
        )

        def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
            names = [object_words(source.captions[i], k) for k in range(3)]
            there = [found(verdict, own) is not None for own in names]
            return {"complete": all(there), "objects": sum(there) / 3}

        return rows_of(source, verdicts(source, energy, MANY), figures)

    return rows
