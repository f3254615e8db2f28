"""Seek initial noise in the host: draws by the latent's batch index, progress bar and cancel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import comfy.sample
import comfy.utils
import torch
from torch import Tensor

from ...guidance_core.noise import mixed_seed
from ...guidance_core.procedures.initial_noise import Found, NoiseSearch
from ...guidance_core.procedures.inversion import Path
from ...guidance_core.procedures.noise_seeking import NoiseSeeking
from ...guidance_core.process import lengths
from . import guide, invert
from .samplers import Plan, samples_of


@dataclass(frozen=True, eq=False)
class Order:
    """What noise is sought for.

    Arguments:
        model: MODEL, guided or not.
        positive: CONDITIONING.
        latent: LATENT that will be sampled.
        seed: seed of the first draw, which is the noise that a sampler makes of this seed.
        vae: the host's VAE, for energies that look at the image.
        ahead: the run that a look is taken in, and how many steps into it; None where it is taken
            at the model's highest noise level.
    """

    model: Any
    positive: Any
    latent: dict[str, Any]
    seed: int
    vae: Any = None
    ahead: tuple[Plan, int] | None = None

    @property
    def start(self) -> Tensor:
        """The latent that sampling starts from, shape (B, C, *S), units of a LATENT."""
        return samples_of(self.model, self.latent)

    @property
    def sigma(self) -> Tensor:
        """The noise level where the sampler begins: a single number."""
        if self.ahead:
            return self.ahead[0].sigmas[0].float().cpu()
        model_sampling = self.model.get_model_object("model_sampling")
        return torch.as_tensor(model_sampling.sigma_max).float().cpu().reshape(())

    def drawn(self, number: int) -> Tensor:
        """The noise of a round, counted from 0: (B, C, *S), each row by its batch index."""
        seed = mixed_seed(self.seed, number) if number else self.seed
        noise: Tensor = comfy.sample.prepare_noise(self.start, seed, self.latent.get("batch_index"))
        return noise


def sought(order: Order, energy: Any, search: NoiseSearch) -> Found:
    """Seek noise at the highest noise level of a model, or some steps into a run.

    Arguments:
        order: model, prompt, latent and seed.
        energy: what the first look at the model should show.
        search: how noise is sought.

    Raises:
        ValueError: a required input is missing; raised before the first model call.
    """
    found, drawn, sigma = list[Found](), order.drawn(0), order.sigma
    bar = comfy.utils.ProgressBar(search.rounds * (search.iterations + 1))
    unit = float(invert.scaled(order.model, sigma, torch.ones(1), torch.zeros(1)))
    # Functions, not methods: a run copies its rules, with the objects that methods belong to.
    draw, report = lambda number: order.drawn(number), lambda looks: bar.update_absolute(looks)
    sigmas = torch.stack([sigma, torch.zeros_like(sigma)])
    alone = Plan(order.model, order.positive, order.positive, 1.0, sigmas)
    plan, ahead = order.ahead or (alone, 0)
    rule = NoiseSeeking(energy, search, draw, unit, lambda one: found.append(one), report, ahead)
    plan = replace(plan, model=guide.apply(order.model, [rule], vae=order.vae))

    def once(denoise: invert.Denoise, sigmas: Tensor, latent: Tensor, report: Callable) -> Tensor:
        x = invert.scaled(order.model, sigmas[0], drawn.to(latent), latent)
        return denoise(x, sigmas[0].expand(len(x)))

    plan.run(invert.Walk(once), drawn, order.start)
    return replace(found[0], noise=found[0].noise.float().cpu())


class FoundNoise:
    """A NOISE of its own for each sample, for samplers that begin at the highest noise level.

    Arguments:
        noise: shape (B, C, *S).
        seed: of the first draw.
        numbers: batch index of each row.
    """

    def __init__(self, noise: Tensor, seed: int, numbers: tuple[int, ...]) -> None:
        self.noise, self.seed, self.numbers = noise, seed, numbers

    def generate_noise(self, latent: dict[str, Any]) -> Tensor:
        """The noise of a LATENT, its samples found by their batch index."""
        samples = latent["samples"]
        numbers = latent.get("batch_index", range(len(samples)))
        found = self.noise[[self.numbers.index(n) for n in numbers if n in self.numbers]]
        if len(found) != len(samples) or found.shape[2:] != samples.shape[2:]:
            raise ValueError(
                f"the initial noise is for a latent of {lengths(self.noise)}, got "
                f"{lengths(samples)}: connect the latent that it was optimised for"
            )
        return found


def noise_of(found: Found, order: Order) -> FoundNoise:
    """The found noise as a NOISE."""
    numbers = order.latent.get("batch_index", range(len(found.noise)))
    return FoundNoise(found.noise, order.seed, tuple(numbers))


def noisy_latent(found: Found, order: Order) -> Any:
    """The found noise as a LATENT for a sampler that adds none; blocked for flow models."""
    latent = order.model.model.process_latent_in(order.start)
    x = invert.scaled(order.model, order.sigma, found.noise, latent)
    sigmas = torch.stack([order.sigma, torch.zeros(())])
    path = Path(sigmas, torch.stack([x, latent.to(x)]))
    return invert.noisy_latent(order.model, path, order.latent)
