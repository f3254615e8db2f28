"""Small deterministic stand-ins for a model, a decoder and guide networks, in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from guidance_core.process import per_sample
from guidance_core.types import Estimate, Record, Run

DOUBLE = torch.float64


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)


def seeded(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=DOUBLE)


def latent(batch: int = 2, seed: int = 0) -> Tensor:
    return seeded(batch, 4, 5, 6, seed=seed)


def levels(value: float, batch: int = 2) -> Tensor:
    return torch.full((batch,), value, dtype=DOUBLE)


def decode(x0: Tensor) -> Tensor:
    """Latent (B, 4, h, w) to an image (B, 3, 4h, 4w) in (0, 1)."""
    mix = seeded(3, 4, seed=7).to(x0) / 2
    image = torch.einsum("oc,bchw->bohw", mix, x0).sigmoid()
    return F.interpolate(image, scale_factor=4, mode="bilinear", align_corners=False)


class Model:
    """An elementwise model, so that a sample alone gives the same bits as in a batch."""

    def __init__(self, cfg: bool = True) -> None:
        self.calls = 0
        self.cfg = cfg

    def __call__(self, x: Tensor, sigma: Tensor) -> Estimate:
        self.calls += 1
        size = per_sample(sigma, x)
        cond = x / (1 + size**2) + 0.3 * (x / (1 + size)).sin()
        uncond = (x / (1 + size**2)).detach()
        if not self.cfg:
            return Estimate(cond, sigma, decode)
        return Estimate(uncond + 3 * (cond - uncond), sigma, decode, {}, cond, uncond)


class TinyClassifier(nn.Module):
    labels = ("red", "blue", "circle")
    name = "tiny classifier"
    input_size = 8

    def __init__(self, multi_label: bool = False) -> None:
        super().__init__()
        self.multi_label = multi_label
        self.weight = nn.Parameter(seeded(3, 12, seed=3), requires_grad=False)

    def forward(self, image: Tensor) -> Tensor:
        features = F.adaptive_avg_pool2d(image, 2).flatten(1)
        return torch.tanh(2 * features) @ self.weight.to(image).T


class TinyClip(nn.Module):
    name = "tiny CLIP"
    input_size = 8

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(seeded(5, 12, seed=4), requires_grad=False)
        self.encoded = 0

    def encode_image(self, image: Tensor) -> Tensor:
        features = F.adaptive_avg_pool2d(image, 2).flatten(1)
        return F.normalize(torch.tanh(features) @ self.weight.to(image).T, dim=1)

    def encode_text(self, texts: list[str]) -> Tensor:
        self.encoded += 1
        rows = [seeded(5, seed=len(text)) for text in texts]
        return F.normalize(torch.stack(rows), dim=1)


class TinyFeatures(nn.Module):
    """Two layers of smooth feature maps."""

    name = "tiny features"

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(seeded(4, 3, seed=5), requires_grad=False)
        self.second = nn.Parameter(seeded(5, 4, seed=6), requires_grad=False)
        self.looks = 0

    def blocks(self, image: Tensor) -> list[Tensor]:
        self.looks += 1
        small = F.adaptive_avg_pool2d(image, 3)
        early = torch.einsum("oc,bchw->bohw", self.first.to(image), small).tanh()
        return [early, torch.einsum("oc,bchw->bohw", self.second.to(image), early).tanh()]


def toward(target: Tensor | float = 0.5, weight: float = 1.0):
    """A plain function as energy: half the weighted squared distance of x0 to a target."""

    def energy(estimate: Estimate) -> Tensor:
        return 0.5 * weight * (estimate.x0 - target).square().flatten(1).sum(1)

    return energy


def run_with(record=None, alpha=torch.ones_like, sigmas=(4.0, 2.0, 1.0, 0.5, 0.0)) -> Run:
    records: list[Record] = []
    return Run(alpha, torch.tensor(sigmas, dtype=DOUBLE), record or records.append, seed=1)
