"""Objects that are moved, resized and put into boxes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from bench.editing.sources import Each, distance, found, inside, object_words, place
from bench.editing.task import COLOUR, FULL, PLAIN, Figures, Session, compared, tokens, verdicts
from guidance_core.captures import Attention
from guidance_core.energies.box import Box
from guidance_core.energies.position import Position
from guidance_core.energies.shape import Shape
from guidance_core.energies.size import Size
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.schedules import PercentWindow
from guidance_core.shapes.oracle import Verdict

# Where objects are moved to: none so near the edge that a big one would be cut.
TARGETS = ((0.3, 0.35), (0.7, 0.35), (0.3, 0.7), (0.7, 0.7), (0.5, 0.4), (0.65, 0.5), (0.35, 0.5))
# Places are decided first: a falling strength moves hard, then gently. Sizes come after.
PLACING, TRIES = PercentWindow(0.0, 0.6, "linear_down", 2.5), (3, 0.4)
MOVING = PercentWindow(0.0, 0.9, "linear_down", 4.0)
RESIZING = PercentWindow(0.2, 0.9)
MAPS = frozenset({Attention()})
LEFT, RIGHT = (0.02, 0.25, 0.48, 0.75), (0.52, 0.25, 0.98, 0.75)


def position(measure: str, session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """One object, moved to a given point."""
    source = session.source(seeds, 1, FULL)
    targets = [TARGETS[seed % len(TARGETS)] for seed in seeds]
    words = tokens(source, 0, COLOUR)
    energy = Each(tuple(Position(words, target, measure=measure) for target in targets))

    def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
        item = found(verdict, object_words(source.captions[i], 0))
        caption_kept = verdict.matches(source.captions[i])
        return {"error": distance(item, *targets[i]), "kept": caption_kept}

    return compared(source, verdicts(source, energy, MOVING, stop=0.02), figures)


def away_from(point: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """A target at least a fifth of the side from where an object is, well away from the other."""
    new = [target for target in TARGETS if math.dist(target, point) >= 0.2]
    return max(new, key=lambda target: min(math.dist(target, other), 0.4))


def two_objects(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """One of two objects is moved, the other stays."""
    source = session.source(seeds, 2, FULL, records=MAPS)
    first, second = tokens(source, 0, COLOUR), tokens(source, 1)
    names = [[object_words(text, k) for k in (0, 1)] for text in source.captions]
    whole = [v.matches(text) for v, text in zip(source.verdicts, source.captions, strict=True)]
    there = [
        [found(verdict, own) for own in pair]
        for verdict, pair in zip(source.verdicts, names, strict=True)
    ]
    targets = [
        away_from(*(place(item) for item in pair)) if ok else TARGETS[0]
        for pair, ok in zip(there, whole, strict=True)
    ]
    kept = source.reference
    energy = WeightedSum(
        (
            (2.0, Each(tuple(Position(first, target) for target in targets))),
            (1.0, Shape(second, reference=kept)),
        )
    )

    def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
        one, other = (found(verdict, own) for own in names[i])
        size_and_colour = other is not None and other.size == there[i][1].size
        return {
            "error": distance(one, *targets[i]),
            "drift": distance(other, *place(there[i][1])),
            "other": size_and_colour,
        }

    return compared(source, verdicts(source, energy, MOVING), figures, lambda i: whole[i])


def resized(ratio: float) -> Callable[[Session, tuple[int, ...]], list[Figures]]:
    """One object at another area."""

    def rows(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
        source = session.source(seeds, 1, PLAIN, records=MAPS)
        words, kept = tokens(source, 0, slice(1)), source.reference
        energy = WeightedSum(
            (
                (1.0, Size(words, reference=kept, ratio=ratio)),
                (0.5, Position(words, reference=kept)),
            )
        )
        names = [object_words(text, 0) for text in source.captions]
        there = [found(v, own) for v, own in zip(source.verdicts, names, strict=True)]

        def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
            item = found(verdict, names[i])
            wanted = ratio * there[i].radius ** 2
            error = 1.0 if item is None else abs(item.radius**2 / wanted - 1)
            return {"error": error, "drift": distance(item, *place(there[i]))}

        guided = verdicts(source, energy, RESIZING)
        return compared(source, guided, figures, lambda i: there[i] is not None)

    return rows


def boxes(settings: Mapping[str, str], session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """Two objects, each in a box of its own."""
    source = session.source(seeds, 2, FULL)
    box = lambda k, where: Box(tokens(source, k, COLOUR), where, **settings)
    energy = WeightedSum(((1.0, box(0, LEFT)), (1.0, box(1, RIGHT))))

    def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
        pairs = zip((0, 1), (LEFT, RIGHT), strict=True)
        items = [(found(verdict, object_words(source.captions[i], k)), box) for k, box in pairs]
        shares = [0.0 if item is None else inside(item, box) for item, box in items]
        kept = verdict.matches(source.captions[i])
        return {"inside": sum(share >= 0.8 for share in shares) / 2, "kept": kept}

    recurrences, end = TRIES
    guided = verdicts(source, energy, PLACING, recurrences=recurrences, end_percent=end)
    return compared(source, guided, figures)
