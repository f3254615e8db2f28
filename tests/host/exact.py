"""A model of the host's own classes whose answer is known: a mixture of two Gaussians."""

from __future__ import annotations

import comfy.model_base
import comfy.supported_models
import torch
from energy_guidance.tests.host import tiny
from torch import Tensor, nn

VARIANCE = 0.3
SPREAD = 0.5


class Mixture(nn.Module):
    """E[x0 | x] for x0 from two Gaussians at +SPREAD and -SPREAD, moved by the conditioning.

    Answers in the host's own kinds of prediction: EDM's preconditioned one, or a flow's velocity.
    """

    dtype = torch.float32

    def __init__(self, flow: bool) -> None:
        super().__init__()
        self.flow = flow
        self.where = nn.Parameter(torch.tensor(SPREAD), requires_grad=False)

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor, **options) -> Tensor:
        sigma = (timestep / 1000 if self.flow else (4 * timestep).exp()).view(-1, 1, 1, 1)
        alpha = 1 - sigma if self.flow else torch.ones_like(sigma)
        noisy = x if self.flow else x * (1 + sigma**2).sqrt()
        shift = 0.3 * context.mean((1, 2)).view(-1, 1, 1, 1)
        x0 = self.denoised(noisy, sigma, alpha, shift)
        if self.flow:
            return (noisy - x0) / sigma
        root = (1 + sigma**2).sqrt()
        return (x0 - noisy / root**2) * root / sigma

    def denoised(self, x: Tensor, sigma: Tensor, alpha: Tensor, shift: Tensor) -> Tensor:
        spread = alpha**2 * VARIANCE + sigma**2
        parts, weights = [], []
        for mean in (shift + self.where, shift - self.where):
            parts.append(mean + alpha * VARIANCE / spread * (x - alpha * mean))
            weights.append(-0.5 * (x - alpha * mean).square().flatten(1).sum(1) / spread.flatten())
        first, second = torch.stack(weights).softmax(0)[..., None, None, None]
        return first * parts[0] + second * parts[1]


def model(flow: bool = False):
    """The mixture as a MODEL."""
    with torch.inference_mode():
        config = comfy.supported_models.SD15({**tiny.UNET})
        config.set_inference_dtype(torch.float32, None)
        kind = comfy.model_base.ModelType.FLOW if flow else comfy.model_base.ModelType.EDM
        host = comfy.model_base.BaseModel(config, kind)
        host.diffusion_model = Mixture(flow)
        host.eval()
    return tiny.patcher(host)
