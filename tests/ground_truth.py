"""A diffusion model whose every answer is known: a mixture of Gaussians.

x = alpha x0 + sigma n, with x0 from sum_k w_k N(mean_k, var_k I). The exact denoiser is
closed-form, and tilting the mixture by exp(-|x0 - y|^2 / 2 r2) gives a mixture again, so that the
exact *guided* denoiser is closed-form too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from guidance_core.types import Estimate

Alpha = Callable[[Tensor], Tensor]


def ve(sigma: Tensor) -> Tensor:
    """Signal scale of eps, v and EDM models."""
    return torch.ones_like(sigma)


def flow(sigma: Tensor) -> Tensor:
    """Signal scale of flow models."""
    return 1 - sigma


@dataclass(frozen=True, eq=False)
class Mixture:
    """weights (K,), means (K, D), variances (K,), all float64; alpha: signal scale."""

    weights: Tensor
    means: Tensor
    variances: Tensor
    alpha: Alpha = ve

    def log_density(self, x: Tensor, sigma: Tensor) -> Tensor:
        """log p(x) at noise level sigma, x (B, D), sigma (B,), up to a constant: (B,)."""
        return torch.logsumexp(self._log_joint(x, sigma), 1)

    def denoise(self, x: Tensor, sigma: Tensor) -> Estimate:
        """E[x0 | x], exactly."""
        alpha, spread = self._at(sigma)
        gain = alpha * self.variances / spread
        shift = x[:, None] - alpha[..., None] * self.means
        x0 = self.means + gain[..., None] * shift
        share = self._log_joint(x, sigma).softmax(1)
        return Estimate((share[..., None] * x0).sum(1), sigma)

    def tilted(self, y: Tensor, r2: float) -> Mixture:
        """The mixture times exp(-|x0 - y|^2 / (2 r2)), y (D,)."""
        total = self.variances + r2
        evidence = -0.5 * (self.means - y).square().sum(1) / total
        evidence = evidence - 0.5 * y.numel() * total.log()
        weights = (self.weights.log() + evidence).softmax(0)
        means = (r2 * self.means + self.variances[:, None] * y) / total[:, None]
        return Mixture(weights, means, self.variances * r2 / total, self.alpha)

    def _at(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        alpha = self.alpha(sigma)[:, None]
        return alpha, alpha.square() * self.variances + sigma.square()[:, None]

    def _log_joint(self, x: Tensor, sigma: Tensor) -> Tensor:
        alpha, spread = self._at(sigma)
        square = (x[:, None] - alpha[..., None] * self.means).square().sum(2)
        return self.weights.log() - 0.5 * square / spread - 0.5 * x.shape[1] * spread.log()


def three_hills(alpha: Alpha = ve) -> Mixture:
    """Three unequal components in the plane."""
    double = torch.float64
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=double)
    means = torch.tensor([[-1.0, 0.2], [0.8, -0.5], [0.3, 1.1]], dtype=double)
    return Mixture(weights, means, torch.tensor([0.3, 0.5, 0.2], dtype=double), alpha)


def single(alpha: Alpha = ve) -> Mixture:
    """One Gaussian, for which every formula fits in a line."""
    double = torch.float64
    means = torch.tensor([[0.4, -0.7]], dtype=double)
    return Mixture(torch.ones(1, dtype=double), means, torch.full((1,), 0.6, dtype=double), alpha)
