"""Small deterministic stand-ins for a model, a decoder and guide networks, in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from guidance_core.attention.references import Reference
from guidance_core.captures import Attention, Capture, Features
from guidance_core.networks.protocols import ViTTokens
from guidance_core.process import per_sample
from guidance_core.run import Run
from guidance_core.trace import Record
from guidance_core.types import Estimate

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
        # Without its positive branch, so that energies are shown x0 as it is: see test_look_at.
        return Estimate(uncond + 3 * (cond - uncond), sigma, decode, {}, None, uncond)


CONTEXT = 6  # places in the prompt of a toy model


def inside(request: Capture, x: Tensor) -> tuple[Tensor, ...]:
    """What a toy model shows inside of a latent (B, 4, h, w), in two layers: smooth in it."""
    fine = torch.einsum("kc,bchw->bkhw", seeded(CONTEXT, 4, seed=5).to(x), x)
    layers = [fine, F.adaptive_avg_pool2d(fine, (3, 4))]
    if isinstance(request, Features):
        return tuple(layer.sin() for layer in layers)
    maps = [layer.softmax(1) for layer in layers]
    return tuple(m[:, list(request.positions)] if request.positions else m for m in maps)


def reference(x: Tensor) -> Reference:
    """All that the toy model shows inside of a latent, recorded."""
    requests = Attention(), Features()
    return Reference({1.0: {request: inside(request, x) for request in requests}}, (5, 6))


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


class TinySegmenter(nn.Module):
    """Three labels for every 2 x 2 pixels."""

    name = "tiny segmenter"
    pixel_labels = ("background", "circle", "square")

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(3 * seeded(3, 3, seed=10), requires_grad=False)

    def forward(self, image: Tensor) -> Tensor:
        return torch.einsum("kc,bchw->bkhw", self.weight.to(image), F.avg_pool2d(image, 2))


class TinyViT(nn.Module):
    """Nine patches."""

    name = "tiny ViT"

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(seeded(6, 3, seed=11), requires_grad=False)
        self.looks = 0

    def tokens(self, image: Tensor) -> ViTTokens:
        self.looks += 1
        patches = F.adaptive_avg_pool2d(image, 3).flatten(2).mT
        keys = torch.tanh(patches @ self.weight.to(image).T)
        return ViTTokens(keys, keys.square().mean(1))


class TinyDetector(nn.Module):
    """Its boxes hold bright pixels; its losses draw from torch's global generator."""

    name = "tiny detector"
    box_labels = ("background", "person", "cat")

    def losses(self, image: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
        noise = torch.rand(image.shape[1:], dtype=DOUBLE).to(image)
        total = (noise * image.square()).mean()
        for box, label in zip(boxes.long().tolist(), labels, strict=True):
            inside = image[:, box[1] : box[3], box[0] : box[2]]
            total = total + (inside - label / 2).square().mean()
        return total

    def detections(self, image: Tensor) -> list[dict[str, Tensor]]:
        """A person in the upper left part, where it is bright."""
        corner = image[..., : image.shape[-2] // 2, : image.shape[-1] // 2].mean((1, 2, 3))
        box = torch.tensor([0.0, 0.0, image.shape[-1] // 2, image.shape[-2] // 2])
        return [
            {"boxes": box[None], "labels": torch.tensor([1]), "scores": score[None]}
            for score in corner.detach()
        ]


class TinyFace(nn.Module):
    name = "tiny face encoder"
    input_size = 6

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(seeded(5, 12, seed=12), requires_grad=False)

    def encode_face(self, image: Tensor) -> Tensor:
        features = F.adaptive_avg_pool2d(image, 2).flatten(1)
        return F.normalize(torch.tanh(features) @ self.weight.to(image).T, dim=1)


class TinyPredictor(nn.Module):
    name = "tiny predictor"
    width = 5

    def forward(self, embedding: Tensor) -> Tensor:
        return embedding @ seeded(5, seed=13).to(embedding) + 5


def toward(target: Tensor | float = 0.5, weight: float = 1.0):
    """A plain function as energy: half the weighted squared distance of x0 to a target."""

    def energy(estimate: Estimate) -> Tensor:
        return 0.5 * weight * (estimate.x0 - target).square().flatten(1).sum(1)

    return energy


def run_with(record=None, alpha=torch.ones_like, sigmas=(4.0, 2.0, 1.0, 0.5, 0.0)) -> Run:
    records: list[Record] = []
    return Run(alpha, torch.tensor(sigmas, dtype=DOUBLE), record or records.append, seed=1)
