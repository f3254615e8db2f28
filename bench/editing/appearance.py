"""The appearance of objects, and objects that the model would leave out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.editing.sources import (
    Source,
    caption,
    distance,
    found,
    object_words,
    place,
    word,
)
from bench.editing.task import (
    COLOURLESS,
    COLOURS,
    NOUNS,
    PLAIN,
    THERE,
    Figures,
    Session,
    compared,
    tokens,
    verdicts,
)
from guidance_core.attention.words import Word
from guidance_core.captures import Attention, Features
from guidance_core.energies.appearance import Appearance
from guidance_core.energies.binding import Binding
from guidance_core.energies.presence import Presence
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.rules.latent_update import LatentUpdate
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle
from guidance_core.shapes.oracle import Verdict

LOOKS = PercentWindow(0.2, 1.0, "linear_down", 2.0)
MANY = PercentWindow(0.0, 0.4, "linear_down", 1.0)


def appearance(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """The appearance of another image for an object whose colour the prompt leaves open.

    Guidance begins when the place is decided, so that nothing else has to keep it.
    """
    source = session.source(seeds, 1, COLOURLESS)
    read = frozenset({Attention((), NOUNS), Features()})
    look = session.source(seeds, 1, PLAIN, other=1000, records=read)
    words = tokens(source, 0, slice(1, 2))
    energy = Appearance(words, look.reference, NOUNS)
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
    return compared(source, verdicts(source, energy, LOOKS), figures, lambda i: bool(differ(i)))


def complete(*, lora: bool) -> Callable[[Session, tuple[int, ...]], list[Figures]]:
    """Three objects, each with its colour, in a model whose captions had two at most."""

    def rows(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
        captions = tuple(caption(seed, 3, PLAIN) for seed in seeds)
        # Without articles, so that all words stand where training had words.
        prompts = tuple(text.replace("a ", "") for text in captions)
        source = Source(session.crowded if lora else session.shapes, seeds, prompts, 20)
        objects = [object_words(captions[0], k) for k in range(3)]
        pairs = [[word(prompts[0], name) for name in names] for names in objects]
        guided = oracle.judge(source.guided([LatentUpdate(together(pairs), MANY)]))

        def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
            there = [found(verdict, object_words(captions[i], k)) is not None for k in range(3)]
            only = all(there) and len(verdict.items) == 3
            return {"complete": all(there), "only": only, "objects": sum(there) / 3}

        return compared(source, guided, figures)

    return rows


def together(pairs: Sequence[Sequence[Word]]) -> WeightedSum:
    """Presence of all nouns, of all colours, and Binding of each object's two words."""
    others = lambda own: tuple(name for pair in pairs if pair is not own for name in pair)
    return WeightedSum(
        (
            (1.0, Presence(tuple(noun for _, noun in pairs), THERE)),
            (1.0, Presence(tuple(colour for colour, _ in pairs), COLOURS)),
            *((0.3, Binding(tuple(own), others(own), THERE + COLOURS)) for own in pairs),
        )
    )
