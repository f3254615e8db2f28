"""Find directions in h-space by the host's own runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...guidance_core.networks.hspace import Direction
from ...guidance_core.procedures.hspace_directions import mean_difference, principal_component
from ...guidance_core.procedures.sentences import lines_in
from . import samplers
from .middle import UNetMiddle
from .mixed_prompts import batch_of


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs in which h is looked at.

    Arguments:
        model: MODEL of a U-Net.
        clip: its CLIP.
        negative: CONDITIONING; None only at cfg 1.
        latent: LATENT that each run starts from.
        seed: of the first run; the others follow it.
        count: how many runs of each side.
        sampling: steps, cfg, sampler and scheduler, as in the stock KSampler.
    """

    model: Any
    clip: Any
    negative: Any
    latent: dict[str, Any]
    seed: int
    count: int
    sampling: tuple[int, float, str, str]

    def states(self, prompts: Sequence[str]) -> dict[float, Tensor]:
        """H of all images, (R, C, h, w) at each noise level, prompts taken in turn by runs."""
        parts: list[dict[float, Tensor]] = []
        for number in range(self.count):
            parts.append(self._of_run(prompts[number % len(prompts)], self.seed + number))
        return {level: torch.cat([part[level] for part in parts]) for level in parts[0]}

    def _of_run(self, prompt: str, seed: int) -> dict[float, Tensor]:
        middle = UNetMiddle(self.model.get_model_object("diffusion_model"))
        found: dict[float, Tensor] = {}
        keep = lambda level, h: found.setdefault(level, h.to("cpu", torch.float32).clone())
        with middle.read(keep):
            self.sample(self.model, self.encoded(prompt), seed)
        return found

    def encoded(self, prompt: str) -> Any:
        """CONDITIONING of a prompt."""
        return self.clip.encode_from_tokens_scheduled(self.clip.tokenize(prompt))

    def mixed(self, prompts: Sequence[Any], number: int) -> Any:
        """CONDITIONING of a run by its number: images take the encoded prompts in turn."""
        images = len(self.latent["samples"])
        return batch_of([prompts[(number * images + i) % len(prompts)] for i in range(images)])

    def sample(self, model: Any, positive: Any, seed: int) -> None:
        """Sample the latent with a model of these runs under a CONDITIONING."""
        plan = samplers.plan_of(model, positive, self.negative, *self.sampling)
        samplers.sample(plan, self.sampling[2], seed, self.latent)


def lines_of(text: str, name: str) -> list[str]:
    """Prompts of a text box, one per line.

    Raises:
        ValueError: there is none.
    """
    lines = lines_in(text)
    if not lines:
        raise ValueError(f"{name} needs a prompt, got an empty text: write one per line")
    return lines


def by_prompts(runs: Runs, source: str, target: str, *, each_place: bool) -> Direction:
    """The mean difference of h between the runs of two lists of prompts, with the same noise.

    Arguments:
        runs: how they are sampled.
        source: prompts of what is there, one per line.
        target: prompts of what it should become.
        each_place: whether each place keeps a shift of its own.
    """
    sides = [lines_of(source, "source"), lines_of(target, "target")]
    before, after = (runs.states(side) for side in sides)
    levels = sorted(before.keys() & after.keys(), reverse=True)
    stacked = (torch.stack([side[level] for level in levels], 1) for side in (before, after))
    return _direction(runs, levels, mean_difference(*stacked, each_place=each_place))


def by_components(runs: Runs, source: str, number: int) -> tuple[Direction, float]:
    """A principal component of h over the runs of some prompts, and its part of the variance.

    Raises:
        ValueError: there are not more images than components.
    """
    states = runs.states(lines_of(source, "source"))
    levels = sorted(states, reverse=True)
    found = torch.stack([states[level] for level in levels], 1)
    shifts, part = principal_component(found, number)
    return _direction(runs, levels, shifts), part


def _direction(runs: Runs, levels: Sequence[float], shifts: Tensor) -> Direction:
    site = UNetMiddle(runs.model.get_model_object("diffusion_model")).site
    return Direction(site, tuple(levels), shifts)
