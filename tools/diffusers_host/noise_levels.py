"""ComfyUI's noise levels of Stable Diffusion 1, which Shapes shares."""

from __future__ import annotations

import torch
from torch import Tensor

TRAIN_STEPS = 1000
BETAS = (0.00085, 0.012)


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

    def sgm_uniform(self, steps: int) -> Tensor:
        """The scheduler of that name: as `normal` of one step more, without its lowest level."""
        timesteps = torch.linspace(TRAIN_STEPS - 1, 0, steps + 1)[:-1]
        return torch.cat([self.sigma(timesteps), torch.zeros(1)])

    def at_percent(self, percent: float) -> float:
        """Noise level at a fraction of the schedule, as ComfyUI's start_percent and end_percent."""
        if not 0 < percent < 1:
            return 0.0 if percent >= 1 else float("inf")
        return float(self.sigma(torch.tensor((1 - percent) * (TRAIN_STEPS - 1))))


LEVELS = NoiseLevels()
