"""Train the ViT of Shapes: what an image shows (class token), and what lies where (patches).

    python -m tools.shapes.train_vit --steps 1500

Only clean scenes are seen, degraded as for the classifier. The heads are dropped afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from guidance_core.networks import vit
from guidance_core.shapes import scenes
from tools.shapes import training
from tools.shapes.train_classifier import degraded, labels

ARCHITECTURE = "vit_tiny_patch16_224"
OPTIONS = {"img_size": 64, "patch_size": 8, "embed_dim": 96, "depth": 4, "num_heads": 3}
PATCHES = OPTIONS["img_size"] // OPTIONS["patch_size"]
KINDS = (*scenes.SHAPES, *scenes.PALETTE)


class Pupil(nn.Module):
    """The ViT with a head for its class token and one for its patches."""

    def __init__(self) -> None:
        super().__init__()
        self.vit = vit.build(ARCHITECTURE, **OPTIONS)
        self.whole = nn.Linear(OPTIONS["embed_dim"], len(scenes.LABELS))
        self.parts = nn.Linear(OPTIONS["embed_dim"], len(KINDS))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, labels) of the image and (B, 64, kinds) of its patches."""
        tokens = self.vit.forward_features(pixels)
        return self.whole(tokens[:, 0]), self.parts(tokens[:, 1:])


def shares(scene: scenes.Scene) -> Tensor:
    """Share of each patch that each shape and each colour covers: (64, kinds)."""
    cover = torch.zeros(len(KINDS), scenes.SIDE, scenes.SIDE)
    for item in scene.items:
        for name in (item.shape, item.colour):
            cover[KINDS.index(name)] += scenes.inside(item).float()
    return nn.functional.adaptive_avg_pool2d(cover, PATCHES).flatten(1).T


def batch(step: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images (B, 3, 64, 64) in [0, 1], their labels and shares, a function of `step` alone."""
    generator = torch.Generator().manual_seed(55_000_000 + step)
    drawn = [scenes.random_scene(generator) for _ in range(size)]
    images = degraded(scenes.render(drawn, OPTIONS["img_size"]), generator)
    return images, labels(drawn), torch.stack([shares(scene) for scene in drawn])


def main() -> None:
    """Train, resuming from the last checkpoint."""
    args = training.parser(__doc__, steps=1500, batch=32, lr=2e-3, out="vit.pt").parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = Pupil()
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=0.05)

    def loss_at(step: int) -> training.Loss:
        images, target, cover = batch(step, args.batch)
        whole, parts = net(images * 2 - 1)
        criterion = nn.functional.binary_cross_entropy_with_logits
        loss = criterion(whole, target) + 3 * criterion(parts, cover)
        return loss, {"right": ((whole > 0) == (target > 0.5)).float().mean()}

    training.train(args, loss_at, optimiser, training.linear(args, warm_up=100), net=net)


if __name__ == "__main__":
    main()
