"""Train the ViT of Shapes: what an image shows (class token), and which shape lies where (keys).

    python -m tools.shapes.train_vit --steps 1000

Keys of the last block point to what a patch holds, its shape and its outline, and point to the same
in other colours. DINO's, which were trained on images of changed colours, hardly see those either,
and energies of structure rest on it. The class token tells colours as well. Only clean scenes are
seen, degraded as for the classifier. The heads are dropped afterwards.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from guidance_core.networks import vit
from guidance_core.shapes import scenes
from tools.shapes import training
from tools.shapes.latents import recoloured
from tools.shapes.train_classifier import degraded, labels

ARCHITECTURE = "vit_tiny_patch16_224"
OPTIONS = {"img_size": 64, "patch_size": 8, "embed_dim": 96, "depth": 4, "num_heads": 3}
SIDE, PATCH = OPTIONS["img_size"], OPTIONS["patch_size"]
NORMALISED = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
# Logit of a key that points to what it is asked for. Were it the key's length as well, all keys
# could point one way, and their cosines, which energies compare, would tell nothing.
SCALE = 6.0
# Weight of the share of colours in the keys.
ALIKE = 3.0


class Pupil(nn.Module):
    """The ViT with a head for its class token and two for the keys of its patches."""

    def __init__(self) -> None:
        super().__init__()
        width = OPTIONS["embed_dim"]
        self.vit = vit.build(ARCHITECTURE, **OPTIONS)
        self.whole = nn.Linear(width, len(scenes.LABELS))
        self.parts = nn.Linear(width, len(scenes.SHAPES), bias=False)
        self.mask = nn.Linear(width, PATCH * PATCH, bias=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits and keys of images (B, 3, 64, 64) in [0, 1].

        Labels of the image (B, labels), shapes (B, 64, shapes) and pixels (B, 64, 64) of its
        patches, and keys (B, 65, D) of length 1.
        """
        network = vit.ViTNetwork(self.vit, name="", input_size=SIDE, **NORMALISED)
        tokens = network.tokens(pixels)
        keys = F.normalize(tokens.all_keys, dim=2)
        parts, mask = (_cosines(keys[:, 1:], head) for head in (self.parts, self.mask))
        return self.whole(tokens.pooled), parts, mask, keys


def _cosines(keys: Tensor, head: nn.Linear) -> Tensor:
    return SCALE * F.linear(keys, F.normalize(head.weight, dim=1))


def covered(scene: scenes.Scene) -> tuple[Tensor, Tensor]:
    """Share of each patch that each shape covers, (64, shapes), and of its pixels, (64, 64)."""
    cover = torch.zeros(len(scenes.SHAPES), scenes.SIDE, scenes.SIDE)
    for item in scene.items:
        cover[scenes.SHAPES.index(item.shape)] += scenes.inside(item).float()
    parts = F.adaptive_avg_pool2d(cover, SIDE // PATCH)
    pixels = F.adaptive_avg_pool2d(cover.sum(0, keepdim=True).clamp(max=1), SIDE)
    return parts.flatten(1).T, F.pixel_unshuffle(pixels, PATCH).flatten(1).T


def batch(step: int, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images (2B, 3, 64, 64) in [0, 1], their labels and shares, a function of `step` alone.

    The second half are the scenes of the first, in other colours.
    """
    generator = torch.Generator().manual_seed(55_000_000 + step)
    drawn = [scenes.random_scene(generator) for _ in range(size)]
    drawn += [recoloured(scene, generator) for scene in drawn]
    images = degraded(scenes.render(drawn, SIDE), generator)
    parts, pixels = zip(*map(covered, drawn), strict=True)
    return images, labels(drawn), torch.stack(parts), torch.stack(pixels)


def share_of_colours(keys: Tensor, others: Tensor) -> Tensor:
    """Share of the variance of keys (B, N, D) at their places that colours make: scalar.

    `others` are the keys of the same scenes in other colours.
    """
    return (keys - others).square().mean() / (2 * keys.var(0).mean())


def main() -> None:
    """Train, resuming from the last checkpoint."""
    args = training.parser(__doc__, steps=1000, batch=16, lr=2e-3, out="vit.pt").parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = Pupil()
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=0.05)

    def loss_at(step: int) -> training.Loss:
        images, target, cover, pixels = batch(step, args.batch)
        whole, parts, mask, keys = net(images)
        colours = share_of_colours(*keys.chunk(2))
        criterion = F.binary_cross_entropy_with_logits
        loss = criterion(whole, target) + 3 * criterion(parts, cover) + criterion(mask, pixels)
        right = ((whole > 0) == (target > 0.5)).float().mean()
        return loss + ALIKE * colours, {"right": right, "colours": colours}

    training.train(args, loss_at, optimiser, training.linear(args, warm_up=100), net=net)


if __name__ == "__main__":
    main()
