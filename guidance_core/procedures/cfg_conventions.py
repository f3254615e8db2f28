"""The two numbers that papers call the scale of classifier-free guidance.

D = D_uncond + gamma (D_cond - D_uncond), which is the denoiser's direction towards
p(x | c)^gamma p(x)^(1 - gamma), in every family. Below 1 that is a convex mixture of both
log-densities, above it an extrapolation; w = gamma - 1 counts from the conditional estimate.

References:
    Classifier-Free Diffusion Guidance, Ho and Salimans 2022, arXiv:2207.12598, eq. (6) (w).
    GLIDE, Nichol et al. 2021, arXiv:2112.10741, section 2.3 (gamma, there s).
"""

from __future__ import annotations

import math

# What a convention's number is added to.
CONVENTIONS = {"gamma": 0.0, "w": 1.0}


def gamma_of(scale: float, convention: str) -> float:
    """Return gamma, the host's CFG, of a scale in one of the conventions.

    Arguments:
        scale: gamma >= 0, or w >= -1.
        convention: "gamma" or "w", where gamma = 1 + w.

    Raises:
        ValueError: an unknown convention, or a scale that would point away from the prompt.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {', '.join(CONVENTIONS)}, got '{convention}'")
    gamma = CONVENTIONS[convention] + scale
    if not (math.isfinite(gamma) and gamma >= 0):
        least = 0.0 - CONVENTIONS[convention]
        raise ValueError(
            f"expected a scale of at least {least:g} for {convention}, got {scale:g}: below it the "
            "prompt is avoided; swap positive and negative to do that"
        )
    return gamma
