"""Sampling under guidance: a denoiser with classifier-free guidance, and Euler's method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from guidance_core.compose import any_active, guided, with_noise_levels
from guidance_core.procedures.restart import Standing
from guidance_core.requirements import requirements_of
from guidance_core.run import Run
from guidance_core.steering import depth_of, needs_both
from guidance_core.trace import Record
from guidance_core.truncation import truncated
from guidance_core.types import Denoiser, Estimate, Rule
from tools.diffusers_host.model import Shapes
from tools.diffusers_host.noise_levels import LEVELS
from tools.diffusers_host.reading import reading
from tools.diffusers_host.samplers import RESTARTED, ancestral_share, sampler_of


@dataclass(frozen=True)
class Settings:
    """The widgets of a sampling node of ComfyUI.

    `eta` is the noise put back after each step: 0 makes the sampler Euler's, 1 DDPM's, infinity
    `lcm`, which keeps none of the noise. `scheduler` is normal or sgm_uniform, `decoder` vae or
    fitted. `tries`: how often an image is tried whose energies are not reached, from one percent
    of the run to another.
    """

    seed: int = 0
    batch: int = 4
    steps: int = 20
    cfg: float = 1.0
    recurrences: int = 1
    end_percent: float = 1.0
    eta: float = 0.0
    denoise: float = 1.0
    scheduler: str = "normal"
    decoder: str = "vae"
    tries: int = 1
    tried: tuple[float, float] = RESTARTED


def denoiser(
    model: Shapes,
    positive: Tensor,
    negative: Tensor,
    cfg: float,
    rules: Sequence[Rule] = (),
    decode: Callable[[Tensor], Tensor] | None = None,
) -> Denoiser:
    """One evaluation with CFG; the negative branch has a graph where a rule looks at both.

    The estimate's captures are those that the rules active at its noise level ask for.

    Arguments:
        model: Shapes.
        positive: text states of each sample, shape (B or 1, 77, 64).
        negative: text states, shape (1, 77, 64).
        cfg: scale of classifier-free guidance; at 1 the negative branch is not evaluated.
        rules: rules with resolved schedules.
        decode: decodes for energies; the model's own where None.
    """
    blocks = nearest_output(model.unet)

    def branch(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        scale = sigma.view(-1, 1, 1, 1)
        context = context.expand(x.shape[0], -1, -1)
        inputs = x / (scale.square() + 1).sqrt()
        return x - scale * model.unet(inputs, LEVELS.timestep(sigma), context).sample

    def denoise(x: Tensor, sigma: Tensor) -> Estimate:
        active_rules = [rule for rule in rules if any_active([rule], float(sigma[0]))]
        cut = truncated(blocks, depth_of(rules, float(sigma[0])))
        with cut, reading(model.unet, requirements_of(active_rules).captures) as read:
            cond = branch(x, sigma, positive)
        parts = {"decode": decode or model.decode, "captures": read, "cond": cond}
        if cfg == 1:
            return Estimate(cond, sigma, **parts)
        if needs_both(rules, float(sigma[0])):
            uncond = branch(x, sigma, negative)
        else:
            with torch.no_grad():
                uncond = branch(x, sigma, negative)
            # As in ComfyUI: the slope of the result is that of the positive branch at any scale.
            uncond = uncond + (cond - cond.detach())
        return Estimate(uncond + cfg * (cond - uncond), sigma, **parts, uncond=uncond)

    return denoise


def nearest_output(unet: UNet2DConditionModel) -> list[nn.Module]:
    """Blocks of the U-Net, those nearest to its output first, where skip connections count."""
    ends = zip_longest(
        *([part for level in levels for part in level] for levels in (_up(unet), _down(unet)))
    )
    middle = unet.mid_block
    inner = [middle.resnets[1], middle.attentions[0], middle.resnets[0]]
    return [part for pair in ends for part in pair if part is not None] + inner


def _down(unet: UNet2DConditionModel) -> list[list[nn.Module]]:
    """For each level from the first: its blocks in the order that they run."""
    return [_in_order(block) for block in unet.down_blocks]


def _up(unet: UNet2DConditionModel) -> list[list[nn.Module]]:
    """The same from the last level backwards."""
    return [_in_order(block)[::-1] for block in reversed(unet.up_blocks)]


def _in_order(block: Any) -> list[nn.Module]:
    pairs = zip_longest(block.resnets, getattr(block, "attentions", ()))
    return [part for pair in pairs for part in pair if part is not None]


def sample(
    model: Shapes,
    rules: Sequence[Rule],
    settings: Settings,
    *,
    positive: str | Sequence[str] | Tensor = "",
    negative: str = "",
    start: Tensor | None = None,
    noise: Tensor | None = None,
    step: Callable[[], None] = lambda: None,
    record: Callable[[Record], None] = lambda record: None,
) -> Tensor:
    """Latents (B, 4, 16, 16) in the U-Net's units.

    Arguments:
        model: Shapes.
        rules: what guides, the first of them innermost.
        settings: of the sampler.
        positive: a prompt, one prompt for each sample, or text states (B or 1, 77, 64).
        negative: a prompt.
        start: latents of an image to start from, where the settings' `denoise` is below 1.
        noise: x at the first noise level, in place of the noise of the settings' seed.
        step: called after each step.
        record: receives what the rules did.
    """
    whole = getattr(LEVELS, settings.scheduler)(int(settings.steps / settings.denoise))
    sigmas = whole[-(settings.steps + 1) :].to(model.device)
    share = partial(ancestral_share, settings.eta)
    standing = Standing()

    def told(entry: Record) -> None:
        standing(entry)
        record(entry)

    run = Run(torch.ones_like, sigmas, told, seed=settings.seed, share=share)
    own = [with_noise_levels(rule, LEVELS.at_percent, sigmas[:-1].tolist()) for rule in rules]
    if not isinstance(positive, Tensor):
        positive = model.encode([positive] if isinstance(positive, str) else positive)
    prompts, decode = (positive, model.encode([negative])), model.decoder(settings.decoder)
    plain = denoiser(model, *prompts, settings.cfg, own, decode)
    guided_denoise = guided(own, plain, run)

    acting = partial(any_active, own)

    def denoise(x: Tensor, sigma: Tensor) -> Estimate:
        return (guided_denoise if acting(float(sigma[0])) else plain)(x, sigma)

    what = settings.eta, settings.recurrences, settings.end_percent
    sampler = sampler_of(*what, settings.tries, settings.tried, run, standing, acting)
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
