"""The embedded host: Shapes in diffusers, sampled under guidance without ComfyUI.

All the pack needs of a host is a denoiser. This one is written out in full, so it also shows how to
use guidance_core in a sampler of your own. Noise levels, noise and the Euler step are ComfyUI's, so
that both hosts give the same latents; noise put back after a step (eta) is drawn otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, pairwise
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel

from guidance_core.captures import Capture
from guidance_core.compose import any_active, guided, with_noise_levels
from guidance_core.procedures.recurrence import Sampler, recurrent
from guidance_core.requirements import requirements_of
from guidance_core.types import Denoiser, Estimate, Rule, Run
from tools.demo.reading import Reading
from tools.shapes import text

WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "shapes"
THREE_OBJECTS = WEIGHTS / "three_objects.safetensors"  # a LoRA; without it Shapes holds two
TRAIN_STEPS = 1000
BETAS = (0.00085, 0.012)


@dataclass(frozen=True)
class Settings:
    """What a sampling node of ComfyUI would ask for."""

    seed: int = 0
    batch: int = 4
    steps: int = 20
    cfg: float = 1.0
    recurrences: int = 1
    end_percent: float = 1.0
    eta: float = 0.0
    denoise: float = 1.0


@dataclass(frozen=True)
class Shapes:
    """The parts of the embedded model, frozen, on one device."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.unet.device

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Text embedding (N, 77, 64) of prompts."""
        with torch.no_grad():
            return self.text_encoder(text.tokens(prompts).to(self.device)).last_hidden_state

    def decode(self, x0: Tensor) -> Tensor:
        """Picture (B, 3, H, W) in [0, 1] of latents in the U-Net's units; differentiable."""
        image = self.vae.decode(x0 / self.vae.config.scaling_factor).sample
        return (image / 2 + 0.5).clamp(0, 1)

    def encoded(self, pictures: Tensor) -> Tensor:
        """Latents (B, 4, h, w) in the U-Net's units of pictures (B, 3, H, W) in [0, 1]."""
        with torch.no_grad():
            latents = self.vae.encode(pictures.to(self.device) * 2 - 1).latent_dist.mean
        return latents * self.vae.config.scaling_factor


def load(weights: Path = WEIGHTS, device: torch.device | str | None = None) -> Shapes:
    """Load the embedded model in float32.

    Raises:
        FileNotFoundError: the weights are not there.
    """
    if not (weights / "unet").is_dir():
        raise FileNotFoundError(
            f"no weights of Shapes under {weights}: restore assets/ from the repository"
        )
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    parts = [
        kind.from_pretrained(weights / folder, torch_dtype=torch.float32)
        for kind, folder in (
            (UNet2DConditionModel, "unet"),
            (AutoencoderKL, "vae"),
            (CLIPTextModel, "text_encoder"),
        )
    ]
    return Shapes(*(part.eval().requires_grad_(False).to(device) for part in parts))


class NoiseLevels:
    """ComfyUI's discrete schedule: noise levels and the timesteps that belong to them."""

    def __init__(self) -> None:
        betas = torch.linspace(BETAS[0] ** 0.5, BETAS[1] ** 0.5, TRAIN_STEPS).double() ** 2
        signal = torch.cumprod(1 - betas, 0)
        self.log_sigmas = (((1 - signal) / signal) ** 0.5).float().log()

    def timestep(self, sigma: Tensor) -> Tensor:
        """Nearest training timestep of noise levels (B,)."""
        table = self.log_sigmas.to(sigma.device)
        return (sigma.log()[:, None] - table).abs().argmin(1)

    def sigma(self, timestep: Tensor) -> Tensor:
        """Noise level at a fractional timestep, linear in the logarithm."""
        low = timestep.floor().long().clamp(0, TRAIN_STEPS - 1)
        high = timestep.ceil().long().clamp(0, TRAIN_STEPS - 1)
        return torch.lerp(self.log_sigmas[low], self.log_sigmas[high], timestep.frac()).exp()

    def normal(self, steps: int) -> Tensor:
        """The scheduler called `normal`: even timesteps from the noisiest, then 0; (steps + 1,)."""
        return torch.cat([self.sigma(torch.linspace(TRAIN_STEPS - 1, 0, steps)), torch.zeros(1)])

    def at_percent(self, percent: float) -> float:
        """Noise level at a share of the schedule, as ComfyUI's start_percent and end_percent."""
        if not 0 < percent < 1:
            return 0.0 if percent >= 1 else float("inf")
        return float(self.sigma(torch.tensor((1 - percent) * (TRAIN_STEPS - 1))))


def denoiser(
    model: Shapes,
    positive: Tensor,
    negative: Tensor,
    cfg: float,
    captures: Iterable[Capture] = (),
) -> Denoiser:
    """One model evaluation with classifier-free guidance; only the positive half has a graph."""
    levels, reading = NoiseLevels(), Reading(model.unet, captures)

    def branch(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        scale = sigma.view(-1, 1, 1, 1)
        inputs = x / (scale.square() + 1).sqrt()
        context = context.expand(x.shape[0], -1, -1)
        return x - scale * model.unet(inputs, levels.timestep(sigma), context).sample

    def denoise(x: Tensor, sigma: Tensor) -> Estimate:
        with reading.open() as read:
            cond = branch(x, sigma, positive)
        if cfg == 1:
            return Estimate(cond, sigma, model.decode, read, cond=cond)
        with torch.no_grad():
            uncond = branch(x, sigma, negative)
        x0 = uncond + cfg * (cond - uncond)
        return Estimate(x0, sigma, model.decode, read, cond=cond, uncond=uncond)

    return denoise


def euler(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, *, step: Callable[[], None] = lambda: None
) -> Tensor:
    """Euler's method from the first noise level to the last."""
    for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
        x0 = denoise(x, high.expand(x.shape[0])).x0
        x = x + (x - x0) / high * (low - high)
        step()
    return x


def ancestral_share(eta: float, sigma: float, following: float) -> float:
    """Share of a change of x0 that a step with noise carries on; eta 0 is Euler's, eta 1 DDPM's."""
    up = min(1.0, eta * (1 - (following / sigma) ** 2) ** 0.5)
    return 1 - following * (1 - up**2) ** 0.5 / sigma


def ancestral(eta: float, run: Run) -> Sampler:
    """Euler's method with noise put back after each step: none at eta 0, all of DDPM's at 1."""
    # Below 0: recurrence draws by the number of its step, from 0 on.
    draws = count(-1, -1)

    def sampler(
        denoise: Denoiser, x: Tensor, sigmas: Tensor, *, step: Callable[[], None] = lambda: None
    ) -> Tensor:
        for high, low in pairwise(sigmas.tolist()):
            x0 = denoise(x, sigmas.new_full(x.shape[:1], high)).x0
            share = ancestral_share(eta, high, low)
            up = max(low**2 - ((1 - share) * high) ** 2, 0.0) ** 0.5
            x = x0 + (1 - share) * (x - x0) + up * run.noise(x, next(draws), 0)
            step()
        return x

    return sampler


def sample(
    model: Shapes,
    rules: Sequence[Rule],
    settings: Settings,
    *,
    positive: str | Sequence[str] = "",
    negative: str = "",
    start: Tensor | None = None,
    noise: Tensor | None = None,
    step: Callable[[], None] = lambda: None,
) -> Tensor:
    """Latents (B, 4, 16, 16) in the U-Net's units, from noise; `step` is called after each step.

    Below `denoise` 1 they are made of the latents `start`, as image to image is in ComfyUI. `noise`
    is x at the first noise level in place of the seed's own. Several positive prompts are one for
    each sample.
    """
    levels = NoiseLevels()
    whole = levels.normal(int(settings.steps / settings.denoise))
    sigmas = whole[-(settings.steps + 1) :].to(model.device)
    share = partial(ancestral_share, settings.eta)
    run = Run(alpha=torch.ones_like, sigmas=sigmas, seed=settings.seed, share=share)
    own = [with_noise_levels(rule, levels.at_percent) for rule in rules]
    asked = [positive] if isinstance(positive, str) else positive
    prompts = [model.encode(texts) for texts in (asked, [negative])]
    plain = denoiser(model, *prompts, settings.cfg, requirements_of(own).captures)
    steered = guided(own, plain, run)

    def denoise(x: Tensor, sigma: Tensor) -> Estimate:
        return (steered if any_active(own, float(sigma[0])) else plain)(x, sigma)

    end = levels.at_percent(settings.end_percent)
    sampler = recurrent(
        ancestral(settings.eta, run) if settings.eta else euler,
        settings.recurrences,
        run.alpha,
        run.noise,
        active=lambda sigma: sigma > end,
    )
    with torch.no_grad():
        noise = starting_noise(model, settings, sigmas[0]) if noise is None else noise
        return sampler(denoise, noise if start is None else start + noise, sigmas, step=step)


def starting_noise(model: Shapes, settings: Settings, sigma: Tensor) -> Tensor:
    """ComfyUI's noise for this seed and batch, at the scale that its eps models start from."""
    side = model.unet.config.sample_size
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn(settings.batch, 4, side, side, generator=generator)
    scale = (1 + sigma.square()).sqrt() if settings.denoise == 1 else sigma
    return noise.to(model.device) * scale
