"""Rendered images, inverted and edited."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.editing.sources import FIRST_SEED, distance, place, recording
from bench.editing.task import Figures, Session
from guidance_core.attention.references import Reference
from guidance_core.captures import Attention
from guidance_core.energies.attention_keep import AttentionKeep
from guidance_core.procedures.edit_directions import edit_direction, move_states
from guidance_core.procedures.inversion import Path, invert, psnr
from guidance_core.procedures.sentences import read
from guidance_core.procedures.white_noise import WhiteNoise, whiteness
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle, scenes
from guidance_core.types import Rule
from tools.diffusers_host import LEVELS, Settings, Shapes, denoiser, sample

SENTENCES = pathlib.Path(__file__).parents[2] / "assets" / "sentences"
# Pix2Pix-Zero on Shapes: 300 makes noise of 16 x 16 white; at this CFG few steps lose objects.
STEPS, MORE_STEPS, EDIT_CFG, WHITE = 10, 20, 7.5, WhiteNoise(300.0)
KEEPING = PercentWindow(0.0, 0.5, value=1.0)


def rendered(seeds: tuple[int, ...], **wanted: str) -> list[scenes.Scene]:
    """True scenes of one object, one for each seed."""
    return [_scene(FIRST_SEED + seed, wanted) for seed in seeds]


def _scene(seed: int, wanted: Mapping[str, str]) -> scenes.Scene:
    generator = torch.Generator().manual_seed(seed)
    while True:
        scene = scenes.random_scene(generator, 1)
        if all(getattr(scene.items[0], key) == value for key, value in wanted.items()):
            return scene


def inverted(
    shapes: Shapes,
    true: Sequence[scenes.Scene],
    steps: int,
    iterations: int = 2,
    settle: WhiteNoise | None = None,
) -> tuple[Path, Tensor, Tensor]:
    """Path of rendered scenes by their captions, their latents and text states."""
    latents = shapes.latents(scenes.render(list(true)))
    states = shapes.encode([scene.caption() for scene in true])
    plain = denoiser(shapes, states, states[:1], 1.0)
    with torch.no_grad():
        options = {"iterations": iterations, "settle": settle}
        path = invert(plain, latents, LEVELS.normal(steps), torch.ones_like, **options)
    return path, latents, states


def round_trip(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """An image, inverted and generated again."""
    shapes = session.shapes
    path, latents, states = inverted(shapes, rendered(seeds), 50)
    back = sample(shapes, [], Settings(steps=50), positive=states, noise=path.states[0])
    decibels = psnr(shapes.images(back), shapes.images(latents))
    return [{"unguided": {"psnr": float(value)}, "guided": {}} for value in decibels]


def circle_to_square(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """Pix2Pix-Zero on rendered circles."""
    keeping = PercentWindow(0.0, 0.3, value=0.1)
    return _made_square(session, seeds, Settings(steps=30), keeping, (30,))


def zero_shot(heads: str, steps: int, session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """Pix2Pix-Zero as published, with white noise, in few steps at a high CFG."""
    settings = Settings(steps=steps, cfg=EDIT_CFG)
    return _made_square(session, seeds, settings, KEEPING, (steps, 1, WHITE), heads)


def _made_square(
    session: Session,
    seeds: tuple[int, ...],
    settings: Settings,
    keeping: PercentWindow,
    inverting: tuple[Any, ...],
    heads: str = "mean",
) -> list[Figures]:
    """Circles edited to squares, without and with attention kept; `inverting` is of `inverted`."""
    shapes, true = session.shapes, rendered(seeds, shape="circle")
    path, _, states = inverted(shapes, true, *inverting)
    edited = move_states(states, direction(shapes), 1.0)
    keep = AttentionKeep(attention_of(shapes, path, states, heads), heads=heads)
    rules: dict[str, list[Rule]] = {"unguided": [], "guided": [Forward(keep, keeping)]}
    rows: list[dict[str, Any]] = [{} for _ in seeds]
    for kind, own in rules.items():
        latents = sample(shapes, own, settings, positive=edited, noise=path.states[0])
        seen = oracle.judge(shapes.images(latents))
        for row, verdict, scene in zip(rows, seen, true, strict=True):
            row[kind] = changed(verdict, scene.items[0])
    return rows


def whitened(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """How white the noise of an inverted image is, without and with white noise asked for."""
    rows: list[dict[str, Any]] = [{} for _ in seeds]
    for kind, settle in (("unguided", None), ("guided", WHITE)):
        path, _, _ = inverted(session.shapes, rendered(seeds), STEPS, 1, settle)
        noise = path.states[0] / (1 + path.sigmas[0] ** 2).sqrt()
        for row, (times, divergence) in zip(rows, whiteness(noise).tolist(), strict=True):
            row[kind] = {"correlation": times, "divergence": divergence}
    return rows


def direction(shapes: Shapes) -> Tensor:
    """The edit direction from circles to squares, by the sentences that the pack ships."""
    found = read(SENTENCES)["shape"]
    sides = (shapes.encode(found.sentences([word])) for word in ("circle", "square"))
    return edit_direction(*([one[None] for one in side] for side in sides))


def attention_of(shapes: Shapes, path: Path, states: Tensor, heads: str) -> Reference:
    """The attention maps of every noise level of a path."""
    levels: dict[float, Any] = {}
    record = recording(frozenset({Attention(heads=heads)}), levels)
    plain = denoiser(shapes, states, states[:1], 1.0, [record])
    with torch.no_grad():
        for sigma, x in zip(path.sigmas[:-1], path.states[:-1], strict=True):
            record(plain, x, sigma.expand(len(x)), None)
    return Reference(levels, tuple(path.states.shape[-2:]))


def changed(verdict: oracle.Verdict, was: scenes.Item) -> dict[str, float]:
    """Whether a single square of the old colour is there, and how far it has moved."""
    item = verdict.items[0] if len(verdict.items) == 1 else None
    return {
        "square": item is not None and item.shape == "square",
        "colour": item is not None and item.colour == was.colour,
        "drift": distance(item, *place(was)),
    }
