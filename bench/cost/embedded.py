"""The compared steps without ComfyUI: the same networks in diffusers, guided by the core alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import diffusers
import torch
from torch import Tensor

import guidance_core.energies.box
import guidance_core.energies.color
import guidance_core.rules.backward
import guidance_core.rules.forward
from bench.cost import kinds
from guidance_core.compose import any_active, guided
from guidance_core.run import Run
from guidance_core.types import Denoiser, Estimate, Rule
from tools import diffusers_host

NAME = f"diffusers {diffusers.__version__}"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
THREADS = torch.get_num_threads()
# Stable Diffusion 1.5's preview colours: latent (4) to RGB (3) in [-1, 1].
RGB = ((0.35, 0.23, 0.32), (0.33, 0.50, 0.16), (-0.28, 0.18, 0.27), (-0.21, -0.26, -0.72))


@dataclass(frozen=True)
class Linear:
    """A model whose images are a linear map of its latents, so that decoding costs nothing."""

    unet: diffusers.UNet2DConditionModel

    def decode(self, x0: Tensor) -> Tensor:
        """Image (B, 3, H, W) in [0, 1] of latents (B, 4, H, W)."""
        image = torch.einsum("bchw,cr->brhw", x0.float(), torch.tensor(RGB).to(x0.device))
        return ((image + 1) / 2).clamp(0, 1)


def steps(case: str) -> dict[str, Callable[[], float]]:
    """Every kind of step of one case."""
    model = Linear(diffusers_host.load(device=DEVICE).unet if case == "shapes" else sd15())
    dtype, config = model.unet.dtype, model.unet.config
    side = config.sample_size
    positive, negative = torch.randn(2, 1, 77, config.cross_attention_dim).to(DEVICE, dtype)
    x = torch.randn(1, 4, side, side).to(DEVICE, dtype) * kinds.SIGMA
    sigmas = kinds.sigmas(case).to(DEVICE)
    run = Run(alpha=torch.ones_like, sigmas=sigmas)
    found = {}
    for kind, own in kinds.kinds(guidance_core).items():
        plain = diffusers_host.denoiser(model, positive, negative, kinds.CFG, own)
        found[kind] = _step(own, plain, run, x)
    return {**found, "reference": _reference(model, torch.cat([negative, positive]), run, x)}


def sd15() -> diffusers.UNet2DConditionModel:
    """Stable Diffusion 1.5's U-Net with random weights."""
    with DEVICE:
        unet = diffusers.UNet2DConditionModel(
            sample_size=64, cross_attention_dim=768, attention_head_dim=8
        )
    dtype = torch.bfloat16 if DEVICE.type == "cuda" else torch.float32
    return unet.to(dtype).eval().requires_grad_(False)


def _step(own: Sequence[Rule], plain: Denoiser, run: Run, x: Tensor) -> Callable[[], float]:
    guided_denoise = guided(own, plain, run)

    def step(sigma: Tensor) -> Estimate:
        chosen = guided_denoise if any_active(own, float(sigma[0])) else plain
        with torch.no_grad():
            return chosen(x, sigma)

    return _timed(step, run)


def _reference(model: Linear, context: Tensor, run: Run, x: Tensor) -> Callable[[], float]:
    """A guided step as published code does it: both halves of CFG in one batch with the graph."""
    energy = kinds.kinds(guidance_core)["forward"][0].energy

    def step(sigma: Tensor) -> Tensor:
        noisy = x.detach().requires_grad_()
        twice = torch.cat([noisy, noisy]) / (sigma.square() + 1).sqrt().to(x.dtype)
        eps = model.unet(twice, diffusers_host.LEVELS.timestep(sigma).expand(2), context).sample
        uncond, cond = eps.chunk(2)
        x0 = noisy - sigma.to(x.dtype) * (uncond + kinds.CFG * (cond - uncond))
        value = energy(Estimate(x0, sigma, decode=model.decode)).sum()
        (grad,) = torch.autograd.grad(value, noisy)
        return (x0 - sigma**2 * grad).detach()

    timed = _timed(step, run)

    def trainable() -> float:
        model.unet.requires_grad_(True)
        try:
            return timed()
        finally:
            model.unet.requires_grad_(False)

    return trainable


def _timed(step: Callable[[Tensor], object], run: Run) -> Callable[[], float]:
    def seconds() -> float:
        _synchronise()
        began = time.perf_counter()
        for sigma in run.sigmas[:-1]:
            step(sigma[None])
        _synchronise()
        return (time.perf_counter() - began) / (len(run.sigmas) - 1)

    return seconds


def _synchronise() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
