"""What is asked of editing, with settings that the nodes take as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from bench.editing import model
from bench.editing.sources import (
    FIRST_SEED,
    Each,
    Source,
    caption,
    distance,
    found,
    inside,
    judged,
    object_words,
    place,
    word,
)
from guidance_core.captures import DEFAULT, Attention, Features, Layers
from guidance_core.directions import edit_direction, moved
from guidance_core.energies.appearance import Appearance
from guidance_core.energies.attention_keep import AttentionKeep
from guidance_core.energies.binding import Binding
from guidance_core.energies.box import Box
from guidance_core.energies.position import Position
from guidance_core.energies.presence import Presence
from guidance_core.energies.shape import Shape
from guidance_core.energies.size import Size
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.inversion import Path, invert, psnr
from guidance_core.references import Reference
from guidance_core.rules.forward import Forward
from guidance_core.rules.recording import Recording
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import scenes
from guidance_core.shapes.oracle import Verdict
from guidance_core.shapes.scenes import SIDE
from guidance_core.tokens import Word
from guidance_core.types import Energy
from tools.demo import diffusers_host

Row = Mapping[str, Mapping[str, float]]
COLOUR = slice(1, 2)  # of "big red circle"; colours fill their objects in the maps of Shapes
FULL, PLAIN, COLOURLESS = ("size", "colour", "shape"), ("colour", "shape"), ("size", "shape")
# Where objects are moved to: none so near the edge that a big one would be cut.
TARGETS = ((0.3, 0.35), (0.7, 0.35), (0.3, 0.7), (0.7, 0.7), (0.5, 0.4), (0.65, 0.5), (0.35, 0.5))
# Places are decided first: a falling strength moves hard, then gently. Sizes and looks come after.
PLACING, TRIES = PercentWindow(0.0, 0.6, "linear_down", 2.5), (3, 0.4)
MOVING = PercentWindow(0.0, 0.9, "linear_down", 4.0)
RESIZING = PercentWindow(0.2, 0.9)
LOOKS = PercentWindow(0.2, 1.0, "linear_down", 2.0)
MANY = PercentWindow(0.0, 0.7, value=2.5)
# Layers of Shapes where nouns, and where colours, are seen in their objects alone.
NOUNS, COLOURS = ("output.0.0", "output.1.0"), ("output.2.0",)
LEFT, RIGHT = (0.02, 0.25, 0.48, 0.75), (0.52, 0.25, 0.98, 0.75)


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

    def source(
        self,
        seeds: tuple[int, ...],
        count: int,
        words: tuple[str, ...],
        other: int = 0,
        layers: Layers = DEFAULT,
        width: int = SIDE,
    ) -> Source:
        """Pictures of random captions of some objects; `other` shifts the seeds of the noise."""
        if seeds != self._seeds:
            self._sources, self._seeds = {}, seeds
        key = (count, words, other, layers, width)
        if key not in self._sources:
            captions = tuple(caption(seed, count, words) for seed in seeds)
            own = tuple(seed + other for seed in seeds)
            records = frozenset({Attention((), layers), Features()})
            self._sources[key] = Source(self.shapes, own, captions, 20, records, width)
        return self._sources[key]


def tokens(source: Source, number: int, part: slice = slice(None)) -> tuple[Word, ...]:
    """An object's words, or a part of them, as one; captions of a source are built alike."""
    text = source.captions[0]
    return (word(text, *object_words(text, number)[part]),)


def verdicts(
    source: Source, energy: Energy, strength: PercentWindow, stop: float = 0.0, **options: Any
) -> list[Verdict]:
    """What Forward makes of a source; `options` are those of `model.sample`."""
    return judged(source.painted([Forward(energy, strength, stop=stop)], **options))


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


def position(desk: Desk, seeds: tuple[int, ...]) -> list[Row]:
    """One object, moved to a given point."""
    source = desk.source(seeds, 1, FULL)
    targets = [TARGETS[seed % len(TARGETS)] for seed in seeds]
    words = tokens(source, 0, COLOUR)
    energy = Each(tuple(Position(words, target) for target in targets))

    def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
        item = found(verdict, object_words(source.captions[i], 0))
        caption_kept = verdict.matches(source.captions[i])
        return {"error": distance(item, *targets[i]), "kept": caption_kept}

    return rows_of(source, verdicts(source, energy, MOVING, stop=0.02), figures)


def away_from(point: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """A target at least a fifth of the side from where an object is, well away from the other."""
    new = [target for target in TARGETS if distance_of(target, point) >= 0.2]
    return max(new, key=lambda target: min(distance_of(target, other), 0.4))


def distance_of(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Euclidean distance of points."""
    return float(torch.dist(torch.tensor(a), torch.tensor(b)))


def two_objects(desk: Desk, seeds: tuple[int, ...]) -> list[Row]:
    """One of two objects is moved, the other stays."""
    source = desk.source(seeds, 2, FULL)
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

    return rows_of(source, verdicts(source, energy, MOVING), figures, lambda i: whole[i])


def resized(ratio: float) -> Callable[[Desk, tuple[int, ...]], list[Row]]:
    """One object at another area."""

    def rows(desk: Desk, seeds: tuple[int, ...]) -> list[Row]:
        source = desk.source(seeds, 1, PLAIN)
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
        return rows_of(source, guided, figures, lambda i: there[i] is not None)

    return rows


def boxes(desk: Desk, seeds: tuple[int, ...]) -> list[Row]:
    """Two objects, each in a box of its own."""
    source = desk.source(seeds, 2, FULL)
    energy = WeightedSum(
        ((1.0, Box(tokens(source, 0, COLOUR), LEFT)), (1.0, Box(tokens(source, 1, COLOUR), RIGHT)))
    )

    def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
        pairs = zip((0, 1), (LEFT, RIGHT), strict=True)
        items = [(found(verdict, object_words(source.captions[i], k)), box) for k, box in pairs]
        shares = [0.0 if item is None else inside(item, box) for item, box in items]
        kept = verdict.matches(source.captions[i])
        return {"inside": sum(share >= 0.8 for share in shares) / 2, "kept": kept}

    recurrences, end = TRIES
    guided = verdicts(source, energy, PLACING, recurrences=recurrences, end_percent=end)
    return rows_of(source, guided, figures)


def appearance(desk: Desk, seeds: tuple[int, ...]) -> list[Row]:
    """The look of another picture for an object whose colour the prompt leaves open.

    Guidance begins when the place is decided, so that nothing else has to hold it.
    """
    source = desk.source(seeds, 1, COLOURLESS)
    look = desk.source(seeds, 1, PLAIN, other=1000, layers=NOUNS[1:])
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


def complete(desk: Desk, seeds: tuple[int, ...]) -> list[Row]:
    """Three objects, which the model was not trained on, each with its colour."""
    source = desk.source(seeds, 3, PLAIN)
    text = source.captions[0]
    pairs = [[word(text, name) for name in object_words(text, k)] for k in range(3)]
    others = lambda own: tuple(name for pair in pairs if pair is not own for name in pair)
    energies = (
        *(Binding(tuple(own), others(own), NOUNS[1:] + COLOURS) for own in pairs),
        Presence(tuple(noun for _, noun in pairs), NOUNS),
        Presence(tuple(colour for colour, _ in pairs), COLOURS),
    )
    energy = WeightedSum(tuple((1.0, part) for part in energies))
    guided = verdicts(source, energy, MANY)

    def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
        names = [object_words(source.captions[i], k) for k in range(3)]
        return {"complete": all(found(verdict, own) is not None for own in names)}

    return rows_of(source, guided, figures)


def drawn(seeds: tuple[int, ...], **wanted: str) -> list[scenes.Scene]:
    """True scenes of one object, one for each seed."""
    found_: list[scenes.Scene] = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(FIRST_SEED + seed)
        scene = scenes.random_scene(generator, 1)
        while any(getattr(scene.items[0], key) != value for key, value in wanted.items()):
            scene = scenes.random_scene(generator, 1)
        found_.append(scene)
    return found_


def inverted(
    desk: Desk, true: Sequence[scenes.Scene], steps: int
) -> tuple[Path, torch.Tensor, torch.Tensor]:
    """Path of drawn scenes by their captions, their latents and text states."""
    shapes = desk.shapes
    with torch.no_grad():
        encoded = shapes.vae.encode(2 * scenes.render(list(true)) - 1).latent_dist.mean
        latents = encoded * shapes.vae.config.scaling_factor
        states = shapes.encode([scene.caption() for scene in true])
        plain = model.denoiser(shapes, states, states[:1], 1.0)
        path = invert(plain, latents, model.LEVELS.normal(steps), torch.ones_like, iterations=2)
    return path, latents, states


def round_trip(desk: Desk, seeds: tuple[int, ...]) -> list[Row]:
    """A drawn picture, inverted and painted again."""
    shapes = desk.shapes
    path, latents, states = inverted(desk, drawn(seeds), 50)
    back = model.sample(shapes, [], path.states[0], path.sigmas, states, 1.0)
    with torch.no_grad():
        decibels = psnr(shapes.decode(back), shapes.decode(latents))
    return [{"unguided": {"psnr": float(value)}, "guided": {}} for value in decibels]


def circle_to_square(desk: Desk, seeds: tuple[int, ...]) -> list[Row]:
    """Pix2Pix-Zero on drawn circles."""
    shapes, true = desk.shapes, drawn(seeds, shape="circle")
    path, _, states = inverted(desk, true, 30)
    request, levels = Attention(), {}
    note = lambda sigma, values: levels.__setitem__(sigma, dict(values))
    recording = [Recording(frozenset({request}), note)]
    watched = model.denoiser(shapes, states, states[:1], 1.0, recording)
    with torch.no_grad():
        for sigma, state in zip(path.sigmas[:-1], path.states[:-1], strict=True):
            note(float(sigma), watched(state, sigma.expand(len(state))).captures)
    sentences = [f"a {size} {colour} circle" for size in scenes.SIZES for colour in scenes.PALETTE]
    parts = [
        [part[None] for part in shapes.encode(those)]
        for those in (sentences, [text.replace("circle", "square") for text in sentences])
    ]
    edited = moved(states, edit_direction(*parts), 1.0)
    keep = AttentionKeep(Reference(levels, tuple(path.states.shape[-2:])))
    rules = {"unguided": [], "guided": [Forward(keep, PercentWindow(0.0, 0.3, value=0.1))]}
    rows: list[dict[str, Mapping[str, float]]] = [{} for _ in seeds]
    for kind, own in rules.items():
        latents = model.sample(shapes, own, path.states[0], path.sigmas, edited, 1.0)
        with torch.no_grad():
            seen = judged(shapes.decode(latents))
        for row, verdict, scene in zip(rows, seen, true, strict=True):
            item = verdict.items[0] if len(verdict.items) == 1 else None
            was = scene.items[0]
            row[kind] = {
                "square": item is not None and item.shape == "square",
                "colour": item is not None and item.colour == was.colour,
                "drift": distance(item, *place(was)),
            }
    return list(rows)


FORWARD = "Forward, relative, falling from strength"
TASKS = (
    Task(
        "move one object",
        f"Position of the colour; {FORWARD} 4 to 0 at 0.9, stop 0.02",
        (
            Figure("median centroid error", "error", "median", 0.07),
            Figure("shows its caption", "kept", "share"),
        ),
        position,
    ),
    Task(
        "move one of two objects",
        f"twice Position of the colour, Shape of the other by reference; {FORWARD} 4 to 0 at 0.9",
        (
            Figure("median centroid error", "error", "median"),
            Figure("median drift of the other", "drift", "median", 0.05),
            Figure("size and colour of the other kept", "other", "share", 0.8),
        ),
        two_objects,
    ),
    *(
        Task(
            f"resize to {ratio} of the area",
            f"Size ratio {ratio} and half of Position of the colour, by the reference; Forward, "
            "relative, strength 1 from 0.2 to 0.9",
            (
                Figure("median error of the area", "error", "median", 0.2),
                Figure("median drift", "drift", "median"),
            ),
            resized(ratio),
        )
        for ratio in (0.6, 1.5)
    ),
    Task(
        "boxes for two objects",
        f"two of Box of the colour, layout; {FORWARD} 2.5 to 0 at 0.6, 3 recurrences until 0.4",
        (
            Figure("objects with 80 % of their area inside", "inside", "share", 0.8),
            Figure("shows its caption", "kept", "share"),
        ),
        boxes,
    ),
    Task(
        "swap appearance",
        "Appearance of the noun (layer output.1.0, features of output.2 and output.3) in another "
        "picture of another prompt; Forward, relative, falling from strength 2 at 0.2 to 0 at 1",
        (
            Figure("colour is the reference's", "colour", "share", 0.8),
            Figure("shape kept", "shape", "share", 0.8),
            Figure("median drift", "drift", "median"),
        ),
        appearance,
    ),
    Task(
        "three objects",
        "Presence of the nouns (layers output.0.0, output.1.0), Presence of the colours, three of "
        "Binding (output.1.0, output.2.0); Forward, relative, strength 2.5 to 0.7",
        (Figure("complete, rightly coloured", "complete", "share", 1.3, relative=True),),
        complete,
    ),
    Task(
        "invert and paint again",
        "Invert, 2 iterations, 50 steps",
        (Figure("mean PSNR in dB", "psnr", "mean", 35.0),),
        round_trip,
        steps=50,
    ),
    Task(
        "circle to square in drawn pictures",
        "Invert, Edit Direction of twelve sentences, Keep Attention; Forward, relative, "
        "strength 0.1 up to 0.3; CFG 1",
        (
            Figure("is a square", "square", "share", 0.75),
            Figure("colour kept", "colour", "share"),
            Figure("median drift", "drift", "median"),
        ),
        circle_to_square,
        steps=30,
    ),
)
