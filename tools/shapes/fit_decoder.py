"""Fit the fast decoder of Shapes to its VAE, on estimates of the model itself.

    python -m tools.shapes.fit_decoder --steps 1600

The estimates are those of runs of 20 steps, with the empty prompt at CFG 1 and with captions at
CFG 4, half of them ancestral: of 8 runs of 16 images every other estimate, 1280 in all, gathered
once. Measured on those of runs that it was not fitted to.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from tqdm import tqdm

from guidance_core.networks import fast_decoder
from guidance_core.networks.fast_decoder import Card
from guidance_core.procedures.decoder_fitting import (
    Fitting,
    Pairs,
    as_bytes,
    decibels,
    squared_errors,
)
from guidance_core.run import Run
from guidance_core.types import Denoiser, Estimate
from tools import diffusers_host
from tools.shapes.unseen import scenes_from

CARD = Card("ShapesLatent", channels=4, scale=8, width=56, blocks=2)
RUNS, UNSEEN, BATCH = 8, 2, 16
FIRST_SEED, FIRST_UNSEEN = 110_000_000, 120_000_000


@dataclass(frozen=True)
class Watching:
    """A rule that hands on the estimates of a run and leaves them as they are.

    Arguments:
        sink: receives x0 (B, 4, 16, 16) of each step.
    """

    sink: Callable[[Tensor], None]
    through_model: ClassVar[bool] = False

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One evaluation, handed on."""
        estimate = denoise(x, sigma)
        self.sink(estimate.x0.detach())
        return estimate


def estimates(model: diffusers_host.Shapes, number: int, seed: int) -> Tensor:
    """Estimates (20, B, 4, 16, 16) of one run: odd ones have captions, every other two noise."""
    found: list[Tensor] = []
    captions = [s.caption() for s in scenes_from(seed, BATCH)] if number % 2 else [""] * BATCH
    settings = diffusers_host.Settings(
        seed=seed, batch=BATCH, cfg=4.0 if number % 2 else 1.0, eta=float(number % 4 > 1)
    )
    diffusers_host.sample(model, [Watching(found.append)], settings, positive=captions)
    return torch.stack(found)


def gathered(model: diffusers_host.Shapes, runs: int, first_seed: int) -> Pairs:
    """Every other estimate of some runs, and what the VAE makes of it: level after level."""
    latents, images = [], []
    for number in tqdm(range(runs), desc="estimates"):
        found = estimates(model, number, first_seed + BATCH * number)
        for level, part in enumerate(found):
            latents.append(part[level % 2 :: 2])
            images.append(as_bytes(model.images(latents[-1])))
    return Pairs(torch.cat(latents), torch.cat(images))


def kept(path: Path, runs: int, first_seed: int) -> Pairs:
    """Pairs from a file, gathered where there is none."""
    if not path.exists():
        pairs = gathered(diffusers_host.load(), runs, first_seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"latents": pairs.latents, "images": pairs.images}, path)
    return Pairs(**torch.load(path, weights_only=True))


def by_level(errors: Tensor) -> Tensor:
    """PSNR in dB at each noise level, highest first, (20,), of the errors of `gathered`."""
    return decibels(errors.view(-1, 20, BATCH // 2).mean((0, 2)))


def main() -> None:
    """Gather, fit, resuming from the last state, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--width", type=int, default=CARD.width)
    parser.add_argument("--blocks", type=int, default=CARD.blocks)
    parser.add_argument("--work", type=Path, default=Path("out/shapes/fast_decoder"))
    parser.add_argument("--out", type=Path, default=diffusers_host.FAST_DECODER)
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    card = replace(CARD, width=args.width, blocks=args.blocks)
    fitting, state = Fitting(card, args.steps), args.work / f"{args.out.stem}.state"
    fitting.resume(state)
    pairs = kept(args.work / "fitted.pairs", RUNS, FIRST_SEED)
    with tqdm(total=args.steps, initial=fitting.step, mininterval=10) as bar:

        def on_step(step: int, error: float) -> None:
            bar.update()
            bar.set_postfix(psnr=f"{decibels(torch.tensor(error)):.1f}", refresh=False)
            if step % 200 == 0:
                fitting.save(state)

        fitting.run(pairs, on_step)
    errors = squared_errors(fitting.network, kept(args.work / "unseen.pairs", UNSEEN, FIRST_UNSEEN))
    psnr = round(float(decibels(errors.mean())), 2)
    print(f"{fitting.network.weights} weights, {psnr} dB on unseen estimates; by noise level:")
    print(" ".join(f"{one:.1f}" for one in by_level(errors)))
    fast_decoder.save(fitting.network, args.out, replace(card, psnr=psnr))


if __name__ == "__main__":
    main()
