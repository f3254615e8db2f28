"""Train the classifier of Shapes: which shapes, colours and sizes an image shows.

    python -m tools.shapes.train_classifier --steps 6000

Only drawn scenes are shown, blurred and with noise at random, so that its gradient stays of use on
the unsharp clean estimates of a sampler's early steps. A quarter of them are blends of several
scenes (`tools.shapes.blends`), a quarter are cross-faded with a scene of other shapes, colours and
sizes at the same places, the rest are single scenes. The labels are mixed with the images (mixup,
Zhang et al. 2017, arXiv:1710.09412): so the gradient leads all the way from one colour or shape to
another.
"""

from __future__ import annotations

import timm
import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

from guidance_core.shapes import scenes
from tools.shapes import training
from tools.shapes.blends import Blend, blends, moved

# The classifier looks at images of this side.
SIDE = 64


def build() -> nn.Module:
    """An untrained timm ResNet of half a million parameters with one logit a label."""
    return timm.create_model("test_resnet", num_classes=len(scenes.LABELS))


def labels(drawn: list[scenes.Scene]) -> Tensor:
    """What each scene shows: (B, labels) of zeros and ones, in the order of `scenes.LABELS`."""
    names = [{n for i in s.items for n in (i.shape, i.colour, i.size)} for s in drawn]
    return torch.tensor([[float(label in shown) for label in scenes.LABELS] for shown in names])


def degraded(images: Tensor, generator: torch.Generator, fade: float = 0.6) -> Tensor:
    """Three in four images blurred (sigma to 3 pixels), faded into the ground, with noise."""
    draw = torch.rand(4, len(images), generator=generator)
    sigma = 0.2 + 3 * draw[0].square()
    soft = gaussian_blur2d(images, 13, torch.stack([sigma, sigma], 1))
    ground = torch.tensor(scenes.BACKGROUND).view(3, 1, 1) / 255
    soft = torch.lerp(soft, ground, fade * draw[1].view(-1, 1, 1, 1))
    noise = torch.randn(images.shape, generator=generator)
    soft = soft + 0.1 * draw[2].view(-1, 1, 1, 1) * noise
    return torch.where(draw[3].view(-1, 1, 1, 1) < 0.75, soft, images)


def changed(scene: scenes.Scene, generator: torch.Generator) -> scenes.Scene:
    """The scene with objects of other names at its places."""
    return moved(scenes.random_scene(generator, len(scene.items)), scene)


def batch(step: int, size: int) -> tuple[Tensor, Tensor]:
    """Images (B, 3, 64, 64) in [0, 1] and their labels, a function of `step` alone."""
    halves = crossfaded(step, size // 2), blended(step, size - size // 2)
    images, targets = zip(*halves, strict=True)
    return torch.cat(images), torch.cat(targets)


def blended(step: int, size: int) -> tuple[Tensor, Tensor]:
    """Degraded scenes, half of them several at once, and how much of each label they show."""
    generator = torch.Generator().manual_seed(41_000_000 + step)
    drawn = blends(generator, size)
    images = torch.stack([blend.image(SIDE) for blend in drawn])
    return degraded(images, generator), torch.stack([shown(blend) for blend in drawn])


def shown(blend: Blend) -> Tensor:
    """Share of a blend that shows each label: (labels,)."""
    return torch.tensor(blend.shares) @ labels(list(blend.scenes))


def crossfaded(step: int, size: int) -> tuple[Tensor, Tensor]:
    """Degraded scenes, half cross-faded with others at the same places, and their labels."""
    generator = torch.Generator().manual_seed(40_000_000 + step)
    drawn = [scenes.random_scene(generator) for _ in range(size)]
    others = [changed(scene, generator) for scene in drawn]
    share = (2 * torch.rand(size, generator=generator) - 1).clamp_min(0)
    images = torch.lerp(
        scenes.render(drawn, SIDE), scenes.render(others, SIDE), share.view(-1, 1, 1, 1)
    )
    return degraded(images, generator), torch.lerp(labels(drawn), labels(others), share[:, None])


def main() -> None:
    """Train, resuming from the last checkpoint."""
    args = training.parser(__doc__, steps=6000, batch=32, lr=3e-3, out="classifier.pt").parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = build().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=0.05)

    def loss_at(step: int) -> training.Loss:
        images, target = batch(step, args.batch)
        logits = net((images * 2 - 1).to(memory_format=torch.channels_last))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        return loss, {"right": ((logits > 0) == (target > 0.5)).float().mean()}

    training.train(args, loss_at, optimiser, training.linear(args), clip=False, net=net)


if __name__ == "__main__":
    main()
