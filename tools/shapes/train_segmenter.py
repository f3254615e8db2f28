"""Train the segmenter of Shapes: which shape each pixel belongs to.

    python -m tools.shapes.train_segmenter --steps 2000

Drawn scenes are shown, and blends of them with the blend of their maps, blurred and with noise at
random: see `blends`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from guidance_core.networks import segmenter
from guidance_core.shapes import scenes
from tools.shapes import training
from tools.shapes.blends import Blend, blends, mixed
from tools.shapes.train_classifier import degraded

LABELS = ("background", *scenes.SHAPES)
ARCHITECTURE, WIDTH = "lraspp_mobilenet_v3_large", 0.35


def build() -> nn.Module:
    """An untrained LR-ASPP of a third of the usual width."""
    return segmenter.build(ARCHITECTURE, len(LABELS), width=WIDTH)


def class_map(scene: scenes.Scene) -> Tensor:
    """The number of each pixel's label: (SIDE, SIDE) long."""
    classes = torch.zeros(scenes.SIDE, scenes.SIDE, dtype=torch.long)
    for item in scene.items:
        classes[scenes.inside(item)] = LABELS.index(item.shape)
    return classes


def soft_map(blend: Blend) -> Tensor:
    """The share of each label in each pixel: (labels, SIDE, SIDE)."""
    maps = torch.stack([class_map(scene) for scene in blend.scenes])
    return mixed(nn.functional.one_hot(maps, len(LABELS)).movedim(-1, 1).float(), blend.shares)


def batch(step: int, size: int) -> tuple[Tensor, Tensor]:
    """Images (B, 3, 128, 128) in [0, 1] and their maps, a function of `step` alone."""
    generator = torch.Generator().manual_seed(50_000_000 + step)
    drawn = blends(generator, size)
    images = torch.stack([blend.image() for blend in drawn])
    maps = torch.stack([soft_map(blend) for blend in drawn])
    return degraded(images, generator, fade=0.0), maps


def main() -> None:
    """Train, resuming from the last checkpoint."""
    args = training.parser(__doc__, steps=2000, batch=8, lr=3e-3, out="segmenter.pt").parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = build()
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=0.01)

    def loss_at(step: int) -> training.Loss:
        images, target = batch(step, args.batch)
        logits = net(images * 2 - 1)["out"]
        classes = target.argmax(1)
        right = (logits.argmax(1) == classes)[classes > 0].float().mean()
        return nn.functional.cross_entropy(logits, target), {"objects": right}

    training.train(args, loss_at, optimiser, training.linear(args), clip=False, net=net)


if __name__ == "__main__":
    main()
