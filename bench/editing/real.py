"""Drawn pictures, inverted and edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from bench.editing import model
from bench.editing.desk import Desk, Row
from bench.editing.sources import FIRST_SEED, distance, place
from guidance_core.attention.references import Reference
from guidance_core.captures import Attention
from guidance_core.energies.attention_keep import AttentionKeep
from guidance_core.procedures.edit_directions import edit_direction, move_states
from guidance_core.procedures.inversion import Path, invert, psnr
from guidance_core.rules.forward import Forward
from guidance_core.rules.recording import Recording
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle, scenes


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
    edited = move_states(states, edit_direction(*parts), 1.0)
    keep = AttentionKeep(Reference(levels, tuple(path.states.shape[-2:])))
    rules = {"unguided": [], "guided": [Forward(keep, PercentWindow(0.0, 0.3, value=0.1))]}
    rows: list[dict[str, Mapping[str, float]]] = [{} for _ in seeds]
    for kind, own in rules.items():
        latents = model.sample(shapes, own, path.states[0], path.sigmas, edited, 1.0)
        with torch.no_grad():
            seen = oracle.judge(shapes.decode(latents))
        for row, verdict, scene in zip(rows, seen, true, strict=True):
            item = verdict.items[0] if len(verdict.items) == 1 else None
            was = scene.items[0]
            row[kind] = {
                "square": item is not None and item.shape == "square",
                "colour": item is not None and item.colour == was.colour,
                "drift": distance(item, *place(was)),
            }
    return list(rows)
