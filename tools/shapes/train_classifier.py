"""Train the classifier of Shapes: which shapes, colours and sizes a picture shows.

    python -m tools.shapes.train_classifier --steps 6000

Only drawn scenes are shown, blurred and with noise at random, so that its gradient stays of use on
the unsharp clean estimates of a sampler's early steps. A quarter of them are blends of several
scenes (`tools.shapes.blends`), a quarter are cross-faded with a scene of other shapes, colours and
sizes at the same places, the rest are single scenes. The labels are mixed with the pictures (mixup,
Zhang et al. 2017, arXiv:1710.09412): so the gradient leads all the way from one colour or shape to
another.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import timm
import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

from guidance_core.shapes import scenes
from tools.shapes import checkpoints
from tools.shapes.blends import Blend, blends, moved

# The classifier looks at pictures of this side.
SIDE = 64


def build() -> nn.Module:
    """An untrained timm ResNet of half a million parameters with one logit a label."""
    return timm.create_model("test_resnet", num_classes=len(scenes.LABELS))


def labels(drawn: list[scenes.Scene]) -> Tensor:
    """What each scene shows: (B, labels) of zeros and ones, in the order of `scenes.LABELS`."""
    names = [{n for i in s.items for n in (i.shape, i.colour, i.size)} for s in drawn]
    return torch.tensor([[float(label in shown) for label in scenes.LABELS] for shown in names])


def worn(pictures: Tensor, generator: torch.Generator, fade: float = 0.6) -> Tensor:
    """Three in four pictures blurred (sigma to 3 pixels), faded into the ground, with noise."""
    draw = torch.rand(4, len(pictures), generator=generator)
    sigma = 0.2 + 3 * draw[0].square()
    soft = gaussian_blur2d(pictures, 13, torch.stack([sigma, sigma], 1))
    ground = torch.tensor(scenes.BACKGROUND).view(3, 1, 1) / 255
    soft = torch.lerp(soft, ground, fade * draw[1].view(-1, 1, 1, 1))
    noise = torch.randn(pictures.shape, generator=generator)
    soft = soft + 0.1 * draw[2].view(-1, 1, 1, 1) * noise
    return torch.where(draw[3].view(-1, 1, 1, 1) < 0.75, soft, pictures)


def changed(scene: scenes.Scene, generator: torch.Generator) -> scenes.Scene:
    """The scene with objects of other names at its places."""
    return moved(scenes.random_scene(generator, len(scene.items)), scene)


def batch(step: int, size: int) -> tuple[Tensor, Tensor]:
    """Pictures (B, 3, 64, 64) in [0, 1] and their labels, a function of `step` alone."""
    halves = crossfaded(step, size // 2), blended(step, size - size // 2)
    pictures, targets = zip(*halves, strict=True)
    return torch.cat(pictures), torch.cat(targets)


def blended(step: int, size: int) -> tuple[Tensor, Tensor]:
    """Worn scenes, half of them several at once, and how much of each label they show."""
    generator = torch.Generator().manual_seed(41_000_000 + step)
    drawn = blends(generator, size)
    pictures = torch.stack([blend.picture(SIDE) for blend in drawn])
    return worn(pictures, generator), torch.stack([shown(blend) for blend in drawn])


def shown(blend: Blend) -> Tensor:
    """Share of a blend that shows each label: (labels,)."""
    return torch.tensor(blend.shares) @ labels(list(blend.scenes))


def crossfaded(step: int, size: int) -> tuple[Tensor, Tensor]:
    """Worn scenes, half of them cross-faded with others at the same places, and their labels."""
    generator = torch.Generator().manual_seed(40_000_000 + step)
    drawn = [scenes.random_scene(generator) for _ in range(size)]
    others = [changed(scene, generator) for scene in drawn]
    share = (2 * torch.rand(size, generator=generator) - 1).clamp_min(0)
    pictures = torch.lerp(
        scenes.render(drawn, SIDE), scenes.render(others, SIDE), share.view(-1, 1, 1, 1)
    )
    return worn(pictures, generator), torch.lerp(labels(drawn), labels(others), share[:, None])


def main() -> None:
    """Train, resuming from the last checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--out", type=Path, default=Path("out/shapes/classifier.pt"))
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = build().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=0.05)
    start = checkpoints.resume(args.out, net=net, optimiser=optimiser)
    for step, bar in checkpoints.steps(start, args.steps, "classifier"):
        pictures, target = batch(step, args.batch)
        for group in optimiser.param_groups:
            group["lr"] = args.lr * min(1, (step + 1) / 50) * (1 - step / args.steps)
        logits = net((pictures * 2 - 1).to(memory_format=torch.channels_last))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        right = ((logits > 0) == (target > 0.5)).float().mean()
        bar.set_postfix(loss=f"{loss.item():.3f}", right=f"{right.item():.3f}", refresh=False)
        if (step + 1) % 200 == 0 or step + 1 == args.steps:
            checkpoints.save(args.out, step + 1, net=net, optimiser=optimiser)


if __name__ == "__main__":
    main()
