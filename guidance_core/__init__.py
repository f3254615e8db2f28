"""Guidance of diffusion models by energies, for any sampler; torch only.

An energy says what a sample should be; a rule says how its gradient steers the model:

    >>> import torch
    >>> from guidance_core import Constant, Estimate, Forward, Run, guided
    >>> def model(x, sigma):  # yours: the clean estimate of x (B, C, H, W) at sigma (B,)
    ...     return Estimate(x / (1 + sigma.view(-1, 1, 1, 1) ** 2), sigma)
    >>> def brightness(estimate):  # an energy: one value per sample, lower is better
    ...     return (estimate.x0 - 1).square().flatten(1).sum(1)
    >>> run = Run(alpha=torch.ones_like, sigmas=torch.tensor([2.0, 1.0, 0.0]))
    >>> steered = guided([Forward(brightness, Constant(0.5))], model, run)
    >>> round(float(steered(torch.zeros(1, 4, 8, 8), torch.tensor([2.0])).x0.mean()), 3)
    0.447

Energies are in `guidance_core.energies`, one per file; guide networks in `guidance_core.networks`.
"""

from .compose import any_active, guided, with_noise_levels
from .energies.masked import Masked
from .energies.scheduled import Scheduled
from .energies.smoothed import Smoothed
from .energies.weighted_sum import WeightedSum
from .procedures.recurrence import recurrent
from .requirements import requirements_of
from .rules.backward import Backward
from .rules.forward import Forward
from .rules.latent_update import LatentUpdate
from .rules.manifold import Manifold
from .rules.posterior import Posterior
from .rules.unified import Unified
from .run import Run
from .schedules import Constant, PercentWindow, Window
from .trace import Record, Trace
from .types import Denoiser, Energy, Estimate, Rule, Schedule

__all__ = [
    "Backward",
    "Constant",
    "Denoiser",
    "Energy",
    "Estimate",
    "Forward",
    "LatentUpdate",
    "Manifold",
    "Masked",
    "PercentWindow",
    "Posterior",
    "Record",
    "Rule",
    "Run",
    "Schedule",
    "Scheduled",
    "Smoothed",
    "Trace",
    "Unified",
    "WeightedSum",
    "Window",
    "any_active",
    "guided",
    "recurrent",
    "requirements_of",
    "with_noise_levels",
]
