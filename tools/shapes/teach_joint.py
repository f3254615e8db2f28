"""Write the lessons from which Shapes of joint attention learns: what the U-Net says at CFG 4.

    python -m tools.shapes.teach_joint --shards 32
    python -m tools.shapes.teach_joint --shards 64 --pupil out/shapes/joint.pt

A lesson is a noisy latent of one of the U-Net's own runs and the x0 that it estimates there, as a
flow model sees both: the pupil's error falls sooner towards an estimate than towards a scene, whose
spread no model can foresee. The guidance is in the lessons, so that the pupil needs none (guidance
distillation; Meng et al. 2023, arXiv:2210.03142, as FLUX.1 dev has it). Once the pupil paints, the
runs are its own, so that it is told how to go on from where its errors lead it (DAgger, Ross et al.
2011, arXiv:1011.0686). Shards are files of their own, written whole: stopped, it goes on with the
next.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from guidance_core.procedures import checkpoints
from guidance_core.shapes import scenes
from tools import diffusers_host
from tools.diffusers_host import LEVELS
from tools.shapes import joint, text
from tools.shapes.latents import caption, generator_of

LESSONS = Path("out/shapes/lessons")
# Runs of a shard, the noise levels of a run, and the lowest: below it a scene itself is the answer.
RUNS, STEPS, LOWEST = 64, 12, 0.35
CFG = 4.0
# Share of scenes of one object beside those that `scenes.random_scene` draws.
SINGLE = 0.3


def path_of(folder: Path, shard: int) -> Path:
    """Where a shard lies."""
    return folder / f"{shard:04}.safetensors"


def captions(generator: torch.Generator) -> list[str]:
    """Captions of the runs of a shard."""
    chances = torch.rand(2, RUNS, generator=generator).tolist()
    drawn = (
        (scenes.random_scene(generator, 1 if single < SINGLE else None), chance)
        for single, chance in zip(*chances, strict=True)
    )
    return [caption(scene, chance) for scene, chance in drawn]


def levels(generator: torch.Generator) -> Tensor:
    """Noise levels of the runs, from the highest down (STEPS + 1, RUNS): shifted by chance."""
    top = LEVELS.log_sigmas[-1]
    gap = (top - torch.tensor(LOWEST).log()) / STEPS
    steps = torch.arange(STEPS + 1)[:, None] - torch.rand(1, RUNS, generator=generator)
    return (top - gap * steps.clamp_min(0)).exp()


@torch.no_grad()
def shard(
    shapes: diffusers_host.Shapes, generator: torch.Generator, pupil: joint.Joint | None = None
) -> dict[str, Tensor]:
    """The lessons of some runs: x, t, x0 and ids of captions, (STEPS * RUNS, ...) each.

    Runs are the pupil's where there is one. In them
    x = (1 - t) x0 + t n, with t = sigma / (1 + sigma); of the first step, whose level stands for
    all above, t is drawn up to 1 and x has the spread that it has there.
    """
    said, sigma = captions(generator), levels(generator)
    denoise = diffusers_host.denoiser(shapes, shapes.encode(said), shapes.encode([""]), CFG)
    ids = text.tokens(said)
    x = torch.randn(RUNS, 4, 16, 16, generator=generator) * (1 + sigma[0].square()).sqrt().view(
        -1, 1, 1, 1
    )
    lessons = []
    for now, following in zip(sigma[:-1], sigma[1:], strict=True):
        x0 = denoise(x, now).x0
        t = now / (1 + now)
        if not lessons:
            t = t + (1 - t) * torch.rand(RUNS, generator=generator)
        spread = ((t.square() + (1 - t).square()) / (1 + now.square())).sqrt()
        lessons.append({"x": x * spread.view(-1, 1, 1, 1), "t": t, "x0": x0, "ids": ids})
        if pupil is not None:
            flat = spread.view(-1, 1, 1, 1) * x
            states = shapes.encode(said)[:, : joint.TEXT]
            x0 = flat - t.view(-1, 1, 1, 1) * pupil(flat, t, states)
        x = x0 + (following / now).view(-1, 1, 1, 1) * (x - x0)
    return {name: torch.cat([one[name] for one in lessons]) for name in lessons[0]}


def main() -> None:
    """Write the shards that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=32)
    parser.add_argument("--out", type=Path, default=LESSONS)
    parser.add_argument("--pupil", type=Path, help="its checkpoint, once it paints")
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    shapes = diffusers_host.load(device="cpu")
    args.out.mkdir(parents=True, exist_ok=True)
    for number in tqdm(range(args.shards)):
        path = path_of(args.out, number)
        if path.exists():
            continue
        pupil = None if args.pupil is None else joint.Joint()
        if pupil is not None:
            checkpoints.resume(args.pupil, model=pupil)
        lessons = shard(shapes, generator_of(0, 70_000_000 + number), pupil)
        save_file(lessons, path.with_suffix(".writing"))
        path.with_suffix(".writing").replace(path)


if __name__ == "__main__":
    main()
