"""Sizes of steps, always per sample: no norm is ever taken over the batch.

A step of a video is as large as in the frame that it moves most: an energy of one frame would
otherwise put the step of all frames into it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .process import per_sample, posterior_std, radius
from .requirements import rebuilt
from .run import Run
from .types import Energy, Estimate

STEPS = ("TFG", "DPS", "FreeDoM", "MPGD")
LEAST_ALPHA = 0.05  # caps divisions by alpha where a flow is all noise


def rms(values: Tensor) -> Tensor:
    """Root mean square of each row, shape (B, ...) to (B,); tiny values do not underflow."""
    rows = values.flatten(1)
    peak = rows.abs().amax(1).clamp_min(torch.finfo(values.dtype).tiny)
    relative: Tensor = (rows / peak[:, None]).square().mean(1).sqrt()
    return peak * relative


def norm(values: Tensor) -> Tensor:
    """Euclidean norm of each row, shape (B, ...) to (B,)."""
    return rms(values) * math.sqrt(values[0].numel())


def peak_rms(values: Tensor) -> Tensor:
    """Root mean square of each row, of a video (B, C, T, h, w) that of its largest frame, (B,)."""
    if values.ndim != 5:
        return rms(values)
    return rms(values.movedim(2, 1).flatten(0, 1)).view(len(values), -1).amax(1)


def unit_peak(values: Tensor) -> Tensor:
    """Each row scaled to a `peak_rms` of 1; a row of zeros stays zero."""
    size = peak_rms(values)
    return values / per_sample(torch.where(size > 0, size, torch.ones_like(size)), values)


def unit_rms(values: Tensor) -> Tensor:
    """Each row scaled to an RMS of 1; a row of zeros stays zero."""
    size = rms(values)
    return values / per_sample(torch.where(size > 0, size, torch.ones_like(size)), values)


def clip_rms(values: Tensor, limit: Tensor) -> Tensor:
    """Rows whose `peak_rms` exceeds limit (B,) scaled down to it."""
    size = peak_rms(values)
    factor = torch.where(size > limit, limit / size, torch.ones_like(size))
    return values * per_sample(factor, values)


def cfg_push(estimate: Estimate) -> Tensor | None:
    """RMS of the step of classifier-free guidance, shape (B,); None where CFG is 1."""
    return None if estimate.uncond is None else rms(estimate.x0 - estimate.uncond).detach()


def unit_size(scale: str, estimate: Estimate, alpha: Tensor, rule: str) -> Tensor:
    """RMS of a step of strength 1 in the scales that ignore an energy's units, shape (B,).

    relative: the posterior standard deviation of x0; cfg: the step of classifier-free guidance.

    Raises:
        RuntimeError: scale cfg where CFG is 1.
    """
    size = cfg_push(estimate) if scale == "cfg" else posterior_std(estimate.sigma, alpha)
    if size is None:
        raise RuntimeError(
            f"{rule} with scale 'cfg' measures steps by that of CFG, but CFG is 1: "
            "raise CFG above 1 or use scale 'relative'"
        )
    return size


def as_squared_norm(energy: Energy) -> Energy:
    """The same asked as the square of a published norm, where the energy, or one inside, has it."""
    return rebuilt(energy, lambda part: getattr(part, "squared_norm", part))


def root_gradient(grad: Tensor, energy: Tensor) -> Tensor:
    """Gradient of sqrt(energy) from that of the energy (B,); 0 where the energy is 0.

    The root is the norm of a residual where the energy is its square.

    Raises:
        RuntimeError: a negative energy.
    """
    if (energy < 0).any():
        raise RuntimeError(
            "the norm of a residual is the root of an energy >= 0, but this energy is negative: "
            "switch the root off, or use no negative weights"
        )
    slope = torch.where(energy > 0, 0.5 * energy.clamp_min(1e-30).rsqrt(), 0.0)
    return grad * per_sample(slope, grad)


def published_sizes(step: str, sigma: Tensor, run: Run) -> tuple[Tensor, Tensor, Tensor]:
    """Factors (B,) of a published step: of rho in x_next, of mu in x0, and of x0 in x_next.

    What released code multiplies its gradients by, for latents z = x / r of unit variance with
    abar = (alpha / r)^2 and r^2 = alpha^2 + sigma^2, written for x.

    TFG: z_next += rho dlogf/dz / sqrt(abar / abar_next), x0 += mu dlogf/dx0.
    DPS: z_next += rho dlogf/dz.
    FreeDoM: z_next += sqrt(abar) rho dlogf/dz.
    MPGD: x0 += mu / sqrt(abar) dlogf/dx0.

    In each a change of x0 moves z_next by sqrt(abar_next) times itself.
    """
    following = sigma.new_full(sigma.shape, run.next_sigma(float(sigma[0])))
    alpha, later = run.alpha(sigma), run.alpha(following)
    r, r_next = radius(sigma, alpha), radius(following, later)
    least, one = alpha.clamp_min(LEAST_ALPHA), r.new_ones(r.shape)
    if step == "TFG":
        return r.square() * later / least, one, later
    if step == "DPS":
        return r * r_next, one, later
    if step == "FreeDoM":
        return alpha * r_next, one, later
    return r * r_next, r / least, later


def fade(energy: Tensor, stop: float) -> Tensor:
    """Full step from energy 2 stop upwards, falling linearly to none at stop, shape (B,).

    A step of normalised size never fades by itself. `stop` says at which energy a sample counts as
    done; 0 means never.
    """
    return (energy / stop - 1.0).clamp(0.0, 1.0) if stop > 0 else torch.ones_like(energy)
