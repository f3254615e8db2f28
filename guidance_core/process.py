"""The noising process x = alpha x0 + sigma n, and the ways to write a prediction in it.

alpha is 1 (eps, v and EDM models, in k-diffusion's coordinates) or 1 - sigma (flow models).
sigma and alpha have shape (B,), everything else (B, C, *S).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

ONE_STEP_ONLY = (
    "this scale places its step behind that of the sampler, as published, which needs a sampler of "
    "one evaluation a step and no memory, and noise levels that only fall: use euler, ddim, ddpm "
    "or euler_ancestral without churn, or scale 'relative', which suits every sampler"
)

EULER_ONLY = (
    "scale 'spherical' puts the gradient in the place of the noise of a step, which needs a "
    "sampler that adds none itself: use euler or ddim without churn, or scale 'relative', which "
    "suits every sampler"
)


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Shape (B,) as (B, 1, ..., 1), in the dtype and on the device of `like` (B, ...)."""
    return values.to(like).reshape(-1, *[1] * (like.ndim - 1))


def full_precision(values: Tensor) -> Tensor:
    """Half and bfloat16 as float32; wider tensors as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def lengths(values: Tensor) -> str:
    """Lengths of all axes, for messages, such as "4 x 16 x 16"."""
    return " x ".join(map(str, values.shape)) or "a single number"


def posterior_std(sigma: Tensor, alpha: Tensor) -> Tensor:
    """Standard deviation of x0 given x, for latents of unit variance, shape (B,)."""
    return sigma / radius(sigma, alpha)


def radius(sigma: Tensor, alpha: Tensor) -> Tensor:
    """Root mean square of x for latents of unit variance, shape (B,)."""
    return (alpha.square() + sigma.square()).sqrt()


def noise_angle(sigma: Tensor, alpha: Tensor) -> Tensor:
    """Angle of the noise in radians, shape (B,): 0 without noise, pi / 2 of noise alone.

    For latents of unit variance x / radius = cos(angle) x0 + sin(angle) n.
    """
    return torch.atan2(sigma, alpha)


def ancestral_noise(
    sigma: Tensor, next_sigma: Tensor, alpha: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Noise after an ancestral step (DDPM, eta 1): what stays of the old, what is new, each (B,).

    Standard deviations sigma_down and sigma_up of x_next = alpha_next x0 + sigma_down n +
    sigma_up n', with squares that sum up to sigma_next^2. With s = sigma / alpha, sigma_up is
    alpha_next * s_next * sqrt(1 - s_next^2 / s^2), written without a division by an alpha of 0.
    """
    ratio = alpha(sigma) * next_sigma / (alpha(next_sigma) * sigma)
    return next_sigma * ratio, next_sigma * (1 - ratio.square()).clamp_min(0).sqrt()


def euler_share(sigma: float, next_sigma: float) -> float:
    """Share of a change of x0 that an Euler step carries into the next latent, in (0, 1]."""
    return 1 - next_sigma / sigma


def is_euler_share(share: float, sigma: float, next_sigma: float) -> bool:
    """Whether a step is Euler's, x_next = x0 + sigma_next / sigma (x - x0), without new noise."""
    return math.isclose(share, euler_share(sigma, next_sigma), rel_tol=1e-9)


def x0_from_eps(eps: Tensor, x: Tensor, sigma: Tensor, alpha: Tensor) -> Tensor:
    """Clean estimate from predicted noise."""
    return (x - per_sample(sigma, x) * eps) / per_sample(alpha, x)


def eps_from_x0(x0: Tensor, x: Tensor, sigma: Tensor, alpha: Tensor) -> Tensor:
    """Noise that the clean estimate implies."""
    return (x - per_sample(alpha, x) * x0) / per_sample(sigma, x)


def x0_from_v(v: Tensor, x: Tensor, sigma: Tensor, alpha: Tensor) -> Tensor:
    """Clean estimate from v = (alpha eps - sigma x0) / r, with r^2 = alpha^2 + sigma^2.

    References:
        Progressive Distillation, Salimans and Ho 2022, arXiv:2202.00512, appendix D.
    """
    square = alpha.square() + sigma.square()
    return per_sample(alpha / square, x) * x - per_sample(sigma / square.sqrt(), x) * v


def v_from_x0(x0: Tensor, x: Tensor, sigma: Tensor, alpha: Tensor) -> Tensor:
    """Inverse of x0_from_v."""
    root = (alpha.square() + sigma.square()).sqrt()
    return per_sample(alpha / (sigma * root), x) * x - per_sample(root / sigma, x) * x0


def x0_from_velocity(velocity: Tensor, x: Tensor, sigma: Tensor, alpha: Tensor) -> Tensor:
    """Clean estimate from the velocity eps - x0 of a flow."""
    return (x - per_sample(sigma, x) * velocity) / per_sample(alpha + sigma, x)


def velocity_from_x0(x0: Tensor, x: Tensor, sigma: Tensor, alpha: Tensor) -> Tensor:
    """Inverse of x0_from_velocity."""
    return (x - per_sample(alpha + sigma, x) * x0) / per_sample(sigma, x)


def x0_from_score(score: Tensor, x: Tensor, sigma: Tensor, alpha: Tensor) -> Tensor:
    """Tweedie's formula: clean estimate from the gradient of log p(x)."""
    return (x + per_sample(sigma.square(), x) * score) / per_sample(alpha, x)


def score_from_x0(x0: Tensor, x: Tensor, sigma: Tensor, alpha: Tensor) -> Tensor:
    """Inverse of x0_from_score."""
    return (per_sample(alpha, x) * x0 - x) / per_sample(sigma.square(), x)


def renoise(
    x: Tensor,
    sigma_from: Tensor,
    sigma_to: Tensor,
    alpha: Callable[[Tensor], Tensor],
    noise: Tensor,
) -> Tensor:
    """Noise a sample up from sigma_from to sigma_to > sigma_from, each of shape (B,).

    x' = a x + sqrt(sigma_to^2 - a^2 sigma_from^2) n, with a = alpha(sigma_to) / alpha(sigma_from).

    References:
        Universal Guidance, Bansal et al. 2023, arXiv:2302.07121, algorithm 1 (self-recurrence).
    """
    scale = alpha(sigma_to) / alpha(sigma_from)
    spread = (sigma_to.square() - (scale * sigma_from).square()).sqrt()
    return per_sample(scale, x) * x + per_sample(spread, x) * noise
