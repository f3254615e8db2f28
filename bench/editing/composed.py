"""Objects of several images in one."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from bench.editing.outlines import NEAR, STEPS, guided, overlap, pixels_of, seen
from bench.editing.placement import MAPS
from bench.editing.sources import Source, caption, distance, found, object_words, place
from bench.editing.task import COLOUR, FULL, Figures, Session, tokens
from guidance_core.energies.shape import Shape
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.shapes import scenes
from guidance_core.shapes.oracle import Verdict

BOTH = (0, 1)


def composed(tries: int, session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """Two objects of two images, each where it is in its own; without pairs that would touch."""
    whole = [caption(seed, 2, FULL) for seed in seeds]
    names = [[object_words(text, k) for k in BOTH] for text in whole]
    parts = [tuple(text.split(" and ")[k] for text in whole) for k in BOTH]
    own = [tuple(seed + 1000 * (k + 1) for seed in seeds) for k in BOTH]
    old = [Source(session.shapes, own[k], parts[k], STEPS, MAPS) for k in BOTH]
    there = [[found(old[k].verdicts[i], names[i][k]) for k in BOTH] for i in range(len(seeds))]
    rows = [i for i, pair in enumerate(there) if all(pair) and scenes.apart(*pair)]
    if not rows:
        return []
    source = Source(
        session.shapes, tuple(seeds[i] for i in rows), tuple(whole[i] for i in rows), STEPS
    )
    energy = WeightedSum(
        tuple(
            (
                1.0,
                Shape(
                    tokens(source, k, COLOUR),
                    reference=old[k].reference_of(rows),
                    source=tokens(old[k], 0, COLOUR),
                    moment="last step",
                    measure="with layout",
                ),
            )
            for k in BOTH
        )
    )

    def figures(i: int, image: Tensor, verdict: Verdict) -> Mapping[str, float]:
        i = rows[i]
        items = [found(verdict, names[i][k]) for k in BOTH]
        near = [distance(items[k], *place(there[i][k])) <= NEAR for k in BOTH]
        shares = [
            overlap(pixels_of(image, names[i][k][1]), pixels_of(old[k].images[i], names[i][k][1]))
            for k in BOTH
        ]
        return {"complete": verdict.matches(whole[i]) and all(near), "overlap": sum(shares) / 2}

    return seen(source.images, guided(source, energy, tries=tries), figures)
