"""The embedded model as a flow: its network in the coordinates x = (1 - t) x0 + t n, exactly.

x / (1 - t) is what a model of predicted noise calls x0 + sigma n, with sigma = t / (1 - t). So its
estimate of x0 is that of a flow as well, and nothing is trained: the velocity n - x0 is what flow
matching would learn from the same data.

References:
    Flow Matching for Generative Modeling, Lipman et al. 2023, arXiv:2210.02747, eq. (23), with the
    straight path of Rectified Flow, Liu et al. 2022, arXiv:2209.03003.
"""

from __future__ import annotations

from typing import Any

import comfy.model_sampling
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import Tensor

from ...guidance_core.process import per_sample, radius

# Of the host's flow sampling: its timesteps are t times this.
STEPS = 1000.0
LEAST = 1e-6


class FlowUNet(UNetModel):
    """A U-Net of predicted noise that answers with the velocity of a flow.

    Above its largest noise level, t = 0.94 of Shapes, it is asked at that one, at x of the variance
    there: as the host does with the noise that sampling begins with.

    Arguments:
        recipe: the host's configuration of the network, whose noise levels it was trained on.
        options: of the network.
    """

    def __init__(self, recipe: Any, **options: Any) -> None:
        super().__init__(**options)
        # No part of the network: its buffers are in no file.
        self._levels = (comfy.model_sampling.ModelSamplingDiscrete(recipe),)

    def _forward(self, x: Tensor, timesteps: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Velocity (B, C, *S) at x (B, C, *S) and timesteps 1000 t (B,)."""
        (levels,), t = self._levels, timesteps / STEPS
        most = float(levels.sigma_max)
        known = t.clamp(LEAST, most / (1 + most))
        alpha, size = 1 - known, radius(known, 1 - known)
        seen = x.float() * per_sample(size / radius(t, 1 - t), x.float())
        inside = (seen / per_sample(size, seen)).to(x)
        eps = super()._forward(inside, levels.timestep(known / alpha), *args, **kwargs)
        velocity = (eps.float() - seen) / per_sample(alpha, seen)
        moved = x.float() - seen + per_sample(known, seen) * velocity
        return moved / per_sample(t.clamp_min(LEAST), seen)
