"""Train the ViT of Shapes: what a picture shows (class token), and what lies where (patches).

    python -m tools.shapes.train_vit --steps 1500

Only clean scenes are shown, worn as for the classifier. The heads are thrown away afterwards.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from guidance_core.networks import vit
from guidance_core.shapes import scenes
from tools.shapes import checkpoints
from tools.shapes.train_classifier import labels, worn

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
        """Logits (B, labels) of the picture and (B, 64, kinds) of its patches."""
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
    """Pictures (B, 3, 64, 64) in [0, 1], their labels and shares, a function of `step` alone."""
    generator = torch.Generator().manual_seed(55_000_000 + step)
    drawn = [scenes.random_scene(generator) for _ in range(size)]
    pictures = worn(scenes.render(drawn, OPTIONS["img_size"]), generator)
    return pictures, labels(drawn), torch.stack([shares(scene) for scene in drawn])


def main() -> None:
    """Train, resuming from the last checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--out", type=Path, default=Path("out/shapes/vit.pt"))
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = Pupil()
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=0.05)
    start = checkpoints.resume(args.out, net=net, optimiser=optimiser)
    for step, bar in checkpoints.steps(start, args.steps, "vit"):
        pictures, target, cover = batch(step, args.batch)
        for group in optimiser.param_groups:
            group["lr"] = args.lr * min(1, (step + 1) / 100) * (1 - step / args.steps)
        whole, parts = net(pictures * 2 - 1)
        criterion = nn.functional.binary_cross_entropy_with_logits
        loss = criterion(whole, target) + 3 * criterion(parts, cover)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        right = ((whole > 0) == (target > 0.5)).float().mean()
        bar.set_postfix(loss=f"{loss.item():.3f}", right=f"{right.item():.3f}", refresh=False)
        if (step + 1) % 200 == 0 or step + 1 == args.steps:
            checkpoints.save(args.out, step + 1, net=net, optimiser=optimiser)


if __name__ == "__main__":
    main()
