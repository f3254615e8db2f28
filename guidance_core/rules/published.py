"""How large published steps are, at a noise level of any family.

References:
    What the released code of each method multiplies its gradient by, for latents z = x / r of unit
    variance, with abar = (alpha / r)^2 and r^2 = alpha^2 + sigma^2, written for x.
"""

from __future__ import annotations

from torch import Tensor

from ..process import radius
from ..types import Run

STEPS = ("TFG", "DPS", "FreeDoM", "MPGD")
LEAST_ALPHA = 0.05  # caps divisions by alpha where a flow is all noise


def published_sizes(step: str, sigma: Tensor, run: Run) -> tuple[Tensor, Tensor, Tensor]:
    """Factors (B,): of rho in x_next, of mu in x0, and of a change of x0 in x_next.

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
