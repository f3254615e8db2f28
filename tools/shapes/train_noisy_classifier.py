"""Train the classifier of noisy latents: which shapes, colours and sizes a scene under noise shows.

    python -m tools.shapes.train_noisy_classifier --steps 12000

Most noise levels are those at which a sampler settles colours and shapes: below them the answer is
plain, above them there is none. Scenes are encoded as the training goes, one every eighth step, and
moved by whole latent cells, which moves their latents alike (within 1 % of their power).

References:
    Diffusion Models Beat GANs on Image Synthesis, Dhariwal and Nichol 2021, arXiv:2105.05233,
    section 4. Deviates: of latents; noise levels not uniform; several labels hold at once.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import timm
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from guidance_core.networks.noisy_classifier import network_input
from guidance_core.process import noise_angle, per_sample, radius
from guidance_core.shapes import scenes
from tools.shapes import training
from tools.shapes.latents import WINDOW, Latents, generator_of
from tools.shapes.train_classifier import labels

# Of another seed than the trainings of the U-Net.
SEED = 7
# The first layer sees 7 x 7 latent cells, as much as a whole object: what tells under noise.
# Smooth activations, since it is the slope that guides.
ARCHITECTURE = "test_resnet"
OPTIONS = {
    "stem_type": "",
    "layers": [2, 1, 1, 1],
    "channels": [64, 64, 64, 64],
    "act_layer": "silu",
}
# Noise levels: of all, and those that four in five are drawn from.
ALL, USEFUL, SHARE = (0.03, 14.7), (0.3, 6.0), 0.8
# Pixels of a latent cell; scenes at the start, and steps between new ones.
CELL, SCENES, EVERY = 8, 768, 8


def build() -> nn.Module:
    """An untrained timm ResNet of half a million parameters with one logit a label."""
    return timm.create_model(ARCHITECTURE, in_chans=5, num_classes=len(scenes.LABELS), **OPTIONS)


def levels(size: int, generator: torch.Generator) -> Tensor:
    """Noise levels sigma, shape (size,), their logarithms uniform in one of the two ranges."""
    draw, which = torch.rand(2, size, generator=generator)
    ends = torch.tensor([USEFUL, ALL]).log()[(which >= SHARE).long()]
    return torch.lerp(ends[:, 0], ends[:, 1], draw).exp()


def noised(x0: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """What the network is shown of latents (B, 4, h, w) at noise levels (B,)."""
    x = x0 + per_sample(sigma, x0) * torch.randn(x0.shape, generator=generator)
    alpha = torch.ones_like(sigma)
    return network_input(x / per_sample(radius(sigma, alpha), x), noise_angle(sigma, alpha))


def moved(latent: Tensor, empty: Tensor, scene: scenes.Scene, generator: torch.Generator) -> Tensor:
    """The latent (4, h, w) of a scene moved by whole cells, as far as it stays in the image.

    Arguments:
        latent: of the scene.
        empty: of a scene without objects.
        scene: whose objects have to stay inside.
        generator: draws how far.
    """
    left, top, right, bottom = zip(*(item.box for item in scene.items), strict=True)
    draw = torch.rand(2, generator=generator).tolist()
    shifts = [
        _cells(min(low), max(high), share)
        for low, high, share in zip((top, left), (bottom, right), draw, strict=True)
    ]
    return empty + torch.roll(latent - empty, shifts, (1, 2))


def _cells(low: float, high: float, share: float) -> int:
    """A shift that keeps pixels low to high inside the margins; `share` in [0, 1) chooses."""
    least = -math.floor((low - scenes.MARGIN) / CELL)
    most = math.floor((scenes.SIDE - scenes.MARGIN - high) / CELL)
    return least + int(share * (most - least + 1))


def batch(latents: Latents, empty: Tensor, step: int, size: int) -> tuple[Tensor, Tensor]:
    """What the network is shown (size, 5, 16, 16) and labels, a function of `step` alone."""
    latents.upto(SCENES + step // EVERY)
    generator = generator_of(SEED, 30_000_000 + step)
    rows = torch.randint(0, min(WINDOW, latents.end), (size,), generator=generator).tolist()
    drawn = [scene for row in rows if (scene := latents.scenes[row])]
    pairs = zip(latents.latents[rows], drawn, strict=True)
    x0 = torch.stack([moved(latent, empty, scene, generator) for latent, scene in pairs])
    return noised(x0, levels(size, generator), generator), labels(drawn)


def cosine(args: argparse.Namespace, step: int, warm_up: int = 200) -> float:
    """Learning rate: warm-up, then down to zero, which stands in for an average of the weights."""
    return args.lr * min(1, (step + 1) / warm_up) * (1 + math.cos(math.pi * step / args.steps)) / 2


@torch.no_grad()
def latent_of_nothing(vae: AutoencoderKL) -> Tensor:
    """The latent of a scene without objects, shape (4, 16, 16)."""
    return vae.encode(scenes.render([scenes.Scene(())]) * 2 - 1).latent_dist.mean[0]


def main() -> None:
    """Train, resuming from the last checkpoint."""
    parser = training.parser(__doc__, steps=12000, batch=64, lr=2e-3, out="noisy_classifier.pt")
    parser.add_argument(
        "--vae", type=Path, default=Path("assets/shapes/vae"), help="the exported one"
    )
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = build().to(memory_format=torch.channels_last)
    vae = AutoencoderKL.from_pretrained(args.vae).float().eval().requires_grad_(False)
    latents, empty = Latents(vae, SEED), latent_of_nothing(vae)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=0.05)

    def loss_at(step: int) -> training.Loss:
        shown, target = batch(latents, empty, step, args.batch)
        logits = net(shown.to(memory_format=torch.channels_last))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        return loss, {"right": ((logits > 0) == (target > 0.5)).float().mean()}

    training.train(args, loss_at, optimiser, lambda step: cosine(args, step), net=net)


if __name__ == "__main__":
    main()
