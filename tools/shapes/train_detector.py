"""Train the detector of Shapes: a box around each shape.

    python -m tools.shapes.train_detector --steps 1200

Drawn scenes and blends of them are shown, blurred and with noise at random: see `blends`. The truth
of a blend is one of its scenes, drawn again each time at odds of the shares, so that the detector
learns how likely each box is. The trunk starts from the segmenter's.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from guidance_core.networks import detector
from guidance_core.procedures import checkpoints
from guidance_core.shapes import scenes
from tools.shapes import training
from tools.shapes.blends import blends
from tools.shapes.train_classifier import degraded
from tools.shapes.train_segmenter import LABELS, WIDTH
from tools.shapes.train_segmenter import build as build_segmenter

ARCHITECTURE = "fcos_resnet50_fpn"


def build() -> nn.Module:
    """An untrained small FCOS that looks at images of the size of Shapes."""
    return detector.build(ARCHITECTURE, len(LABELS), width=WIDTH, min_size=scenes.SIDE)


def target(scene: scenes.Scene) -> dict[str, Tensor]:
    """Boxes (N, 4) in pixels and numbers of the labels (N,)."""
    return {
        "boxes": torch.tensor([item.box for item in scene.items]),
        "labels": torch.tensor([LABELS.index(item.shape) for item in scene.items]),
    }


def batch(step: int, size: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Images (B, 3, 128, 128) in [0, 1] and what is in them, a function of `step` alone."""
    generator = torch.Generator().manual_seed(70_000_000 + step)
    drawn = blends(generator, size)
    images = torch.stack([blend.image() for blend in drawn])
    return degraded(images, generator, fade=0.0), [target(b.drawn(generator)) for b in drawn]


def main() -> None:
    """Train, resuming from the last checkpoint."""
    parser = training.parser(__doc__, steps=1200, batch=8, lr=2e-3, out="detector.pt")
    parser.add_argument("--init", type=Path, default=Path("out/shapes/segmenter.pt"))
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = build().train()
    start = build_segmenter()
    checkpoints.resume(args.init, net=start)
    net.backbone.load_state_dict(start.backbone.state_dict(), strict=False)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=0.01)

    def loss_at(step: int) -> training.Loss:
        images, wanted = batch(step, args.batch)
        losses = net(list(images), wanted)
        return sum(losses.values()), losses

    training.train(args, loss_at, optimiser, training.linear(args), clip=False, net=net)


if __name__ == "__main__":
    main()
