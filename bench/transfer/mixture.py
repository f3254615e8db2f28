"""A mixture of six Gaussians as a MODEL, whose every answer is known, in ComfyUI's own classes.

Latents have 16 numbers; a label is the exact probability of one of
them. It costs nothing, so that samplers can be compared over a thousand draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.cost import comfyui as host

MODES, SIDE, STD = 6, 2, 0.3
# A sample further than this from its mode, in standard deviations (RMS), is not clean: of exact
# samples one in ten thousand is.
CLEAN = 1.7
TINY = {"model_channels": 32, "num_res_blocks": [1], "channel_mult": [1]}
TINY |= {"transformer_depth": [1], "transformer_depth_output": [1, 1], "context_dim": 32}


def means() -> Tensor:
    """Where the modes are, shape (MODES, 16)."""
    return torch.randn(MODES, 4 * SIDE * SIDE, generator=torch.Generator().manual_seed(6))


def distances(x0: Tensor) -> Tensor:
    """Squared distances from all modes in units of their variance: (B, 4, 2, 2) to (B, MODES)."""
    return (x0.flatten(1)[:, None] - means().to(x0)).square().sum(2) / STD**2


@dataclass(frozen=True)
class Label:
    """How far the probability of a mode is below `confidence`, in nats, as `ClassLabel` has it."""

    mode: int = 0
    confidence: float = 0.9

    def __call__(self, estimate: Any) -> Tensor:
        """Energy of shape (B,)."""
        likely = (-0.5 * distances(estimate.x0)).log_softmax(1)[:, self.mode]
        return F.relu(math.log(self.confidence) - likely)


class Modes(nn.Module):
    """The mixture's exact prediction of noise."""

    dtype = torch.float32

    def __init__(self, sampling: Any) -> None:
        super().__init__()
        self.sigma = lambda timestep: sampling.sigma(timestep).view(-1, 1)

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, **options: Any) -> Tensor:
        """Noise in x (B, 4, 2, 2), which comes scaled to unit variance."""
        sigma = self.sigma(timesteps).to(x)
        noisy = x.flatten(1) * (1 + sigma**2).sqrt()
        spread = STD**2 + sigma**2
        gaps = noisy[:, None] - means().to(x)
        share = (-0.5 * gaps.square().sum(2) / spread).softmax(1)
        x0 = noisy - (share[..., None] * gaps).sum(1) * sigma**2 / spread
        return ((noisy - x0) / sigma).view_as(x)


def model() -> Any:
    """The mixture as a MODEL."""
    recipe = host.comfy.supported_models.SD15({**host.SD15, **TINY})
    recipe.set_inference_dtype(torch.float32, None)
    base = host.comfy.model_base.BaseModel(recipe, device=torch.device("cpu"))
    base.diffusion_model = Modes(base.model_sampling)
    cpu = torch.device("cpu")
    return host.comfy.model_patcher.ModelPatcher(base.eval(), load_device=cpu, offload_device=cpu)


def verdicts(x0: Tensor, mode: int = 0) -> dict[str, list[bool]]:
    """Which samples (B, 4, 2, 2) are nearest to a mode, and which are near any."""
    nearest, which = distances(x0).min(1)
    clean = (nearest / x0[0].numel()).sqrt() < CLEAN
    return {"satisfied": (which == mode).tolist(), "clean": clean.tolist()}
