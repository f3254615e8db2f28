"""The loop that trains every network of Shapes, and the options that trainings share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from guidance_core.procedures import checkpoints

# The loss of a step, and figures for the progress bar.
Loss = tuple[Tensor, Mapping[str, float | Tensor]]


def parser(about: str, steps: int, batch: int, lr: float, out: str) -> argparse.ArgumentParser:
    """Options with the defaults of one training.

    Arguments:
        about: its documentation; the first line is shown.
        steps: optimiser steps.
        batch: images of a step.
        lr: highest learning rate.
        out: what it writes, in out/shapes unless the path is absolute.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--out", type=Path, default=Path("out/shapes") / out)
    return parser


def linear(args: argparse.Namespace, warm_up: int = 50, power: float = 1) -> Callable[[int], float]:
    """The learning rate of each step: warm-up, then down to zero, linear at power 1."""
    return lambda s: args.lr * min(1, (s + 1) / warm_up) * (1 - s / args.steps) ** power


def train(
    args: argparse.Namespace,
    loss_at: Callable[[int], Loss],
    optimiser: torch.optim.Optimizer,
    rate: Callable[[int], float],
    *,
    clip: bool = True,
    every: int = 200,
    path: Path | None = None,
    **parts: nn.Module,
) -> None:
    """Train up to `args.steps`, resuming from the last checkpoint.

    Arguments:
        args: of `parser`.
        loss_at: the loss of a step, a function of its number and the weights.
        optimiser: of all that learns.
        rate: the learning rate of a step.
        clip: whether the norm of the gradient is clipped at 1.
        every: steps between checkpoints.
        path: of the checkpoint, in place of `args.out`.
        parts: modules by their names in the checkpoint.
    """
    path = path or args.out
    start: int = checkpoints.resume(path, **parts, optimiser=optimiser).get("step", 0)
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    with tqdm(
        total=args.steps, initial=start, desc=path.stem, mininterval=10, smoothing=0.05
    ) as bar:
        for step in range(start, args.steps):
            for group in optimiser.param_groups:
                group["lr"] = rate(step)
            loss, figures = loss_at(step)
            optimiser.zero_grad()
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            shown = {"loss": loss, **figures}
            bar.set_postfix({k: f"{float(v):.3f}" for k, v in shown.items()}, refresh=False)
            bar.update()
            if (step + 1) % every == 0 or step + 1 == args.steps:
                checkpoints.save(path, step=step + 1, **parts, optimiser=optimiser)


def psnr(mse: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of images in [-1, 1], of their mean squared error."""
    return 10 * torch.log10(4 / mse.detach())
