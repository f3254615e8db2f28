"""Train the open_clip model of Shapes: images and captions in one space.

    python -m tools.shapes.train_clip --steps 3000

A caption belongs to every image that shows what it names, not only to the one it was made from,
so the loss is the sigmoid loss over all pairs (SigLIP, Zhai et al. 2023, arXiv:2303.15343). Two in
three images are several scenes at once, as `tools.shapes.blends` and the classifier have them; a
caption is as true of such an image as the scenes that show what it names have a share in it.
"""

from __future__ import annotations

from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from guidance_core.shapes import scenes
from tools.shapes import training
from tools.shapes.blends import Blend, blends
from tools.shapes.train_classifier import SIDE, changed, degraded

CONFIG = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": SIDE, "patch_size": 8, "width": 96, "head_width": 32, "layers": 4},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 3},
    "init_logit_bias": -4.0,
}
# What a caption names of each object.
WORDS = (
    ("size", "colour", "shape"),
    ("colour", "shape"),
    ("colour", "shape"),
    ("shape",),
    ("colour",),
)


def build() -> open_clip.CLIP:
    """An untrained ViT and text transformer under a million parameters, the vocabulary apart."""
    model = open_clip.CLIP(**CONFIG)
    nn.init.normal_(model.token_embedding.weight, std=0.3)
    return model


def phrase(scene: scenes.Scene, generator: torch.Generator) -> tuple[str, list[set[str]]]:
    """A caption of one or all objects, and the labels that it asks of each."""
    words = WORDS[int(torch.randint(len(WORDS), (), generator=generator))]
    whole = bool(torch.rand((), generator=generator) < 0.5)
    shown = scenes.Scene(scene.items if whole else scene.items[:1])
    return shown.caption(words), [{getattr(item, word) for word in words} for item in shown.items]


def shows(scene: scenes.Scene, wanted: list[set[str]]) -> bool:
    """Whether each wanted object is there, two wanted ones as two."""
    have = [{i.shape, i.colour, i.size} for i in scene.items]
    orders = [have, have[::-1]]
    return any(
        len(order) >= len(wanted) and all(w <= h for w, h in zip(wanted, order, strict=False))
        for order in orders
    )


def mixtures(generator: torch.Generator, size: int) -> list[Blend]:
    """Draw blends, a third of them cross-faded with other objects at the same places."""
    drawn = blends(generator, size)
    chances, shares = torch.rand(2, size, generator=generator).tolist()
    return [
        faded(blend, share, generator) if chance < 1 / 3 else blend
        for blend, chance, share in zip(drawn, chances, shares, strict=True)
    ]


def faded(blend: Blend, share: float, generator: torch.Generator) -> Blend:
    """The blend's first scene, with a share of other objects at its places."""
    first = blend.scenes[0]
    return Blend((first, changed(first, generator)), (1 - share, share))


def truth_of(blend: Blend, wanted: list[set[str]]) -> float:
    """Share of a blend that shows the wanted objects, in [0, 1]."""
    parts = zip(blend.scenes, blend.shares, strict=True)
    return min(1.0, sum(share for scene, share in parts if shows(scene, wanted)))


def batch(step: int, size: int) -> tuple[Tensor, list[str], Tensor]:
    """Images, captions and how true they are of each (size, size), a function of `step` alone."""
    generator = torch.Generator().manual_seed(50_000_000 + step)
    drawn = mixtures(generator, size)
    images = torch.stack([blend.image(SIDE) for blend in drawn])
    phrases = [phrase(blend.drawn(generator), generator) for blend in drawn]
    truth = torch.tensor([[truth_of(blend, wanted) for _, wanted in phrases] for blend in drawn])
    return degraded(images, generator), [caption for caption, _ in phrases], truth


def loss_of(model: open_clip.CLIP, images: Tensor, ids: Tensor, truth: Tensor) -> Tensor:
    """Mean sigmoid loss over all pairs, matches weighing as much as the rest together."""
    image, text, scale, bias = model(images * 2 - 1, ids)
    logits = scale * image @ text.T + bias
    weight = (1 - truth.mean()) / truth.mean()
    return nn.functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=weight)


def main() -> None:
    """Train, resuming from the last checkpoint."""
    parser = training.parser(__doc__, steps=3000, batch=48, lr=1e-3, out="clip.pt")
    parser.add_argument(
        "--init", type=Path, help="exported weights to continue from, without a checkpoint"
    )
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = build()
    if args.init is not None:
        model.load_state_dict({k: v.float() for k, v in load_file(args.init).items()})
    tokenise = open_clip.SimpleTokenizer(context_length=24)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01
    )

    def loss_at(step: int) -> training.Loss:
        images, captions, truth = batch(step, args.batch)
        return loss_of(model, images, tokenise(captions), truth), {}

    training.train(args, loss_at, optimiser, training.linear(args, warm_up=100), model=model)


if __name__ == "__main__":
    main()
