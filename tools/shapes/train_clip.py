"""Train the open_clip model of Shapes: images and captions in one space.

    python -m tools.shapes.train_clip --steps 5000

A caption belongs to every image that shows what it names, not only to the one it was made from,
so the loss is the sigmoid loss over all pairs (SigLIP, Zhai et al. 2023, arXiv:2303.15343). Each
image brings its own caption and hard negatives: one word changed, and where there are two objects a
word exchanged between them (NegCLIP, Yuksekgonul et al. 2023, arXiv:2210.01936). Without these the
network tells images apart by colour and size and never learns the shapes. Two in three images are
several scenes at once, as `tools.shapes.blends` and the classifier have them; a caption is as true
of such an image as the scenes that show what it names have a share in it.

The image side is a ResNet that starts from the classifier's. A vision transformer of 64 pixels'
width told shapes at chance (30 %) after a thousand steps of this, and after the three thousand that
it had been trained for.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from guidance_core.shapes import scenes
from tools.hosts import CHECKOUT
from tools.shapes import training
from tools.shapes.blends import Blend, blends
from tools.shapes.train_classifier import SIDE, changed, degraded

CONFIG = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": SIDE, "timm_model_name": "test_resnet", "timm_pool": "avg"},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 3},
    "init_logit_bias": -4.0,
}
KINDS = {"size": tuple(scenes.SIZES), "colour": tuple(scenes.PALETTE), "shape": scenes.SHAPES}
KIND_OF = {word: kind for kind, words in KINDS.items() for word in words}
# What a caption names of each object, in the order that it says it; and how often of both.
WORDS = (
    ("size", "colour", "shape"),
    ("size", "colour", "shape"),
    ("size", "colour", "shape"),
    ("colour", "shape"),
    ("shape",),
    ("colour",),
)
WHOLE = 0.75
HARD_NEGATIVES = 6
# How true a caption is of a scene that shows it and another object, which it leaves out: so that of
# all captions the one that names everything is the truest.
LEAVES_OUT = 0.75


def build() -> open_clip.CLIP:
    """An untrained ResNet and text transformer under a million parameters, the vocabulary apart."""
    model = open_clip.CLIP(**CONFIG)
    nn.init.normal_(model.token_embedding.weight, std=0.3)
    return model


# The words of each object that a caption names.
Phrase = tuple[tuple[str, ...], ...]

EVERY_OBJECT = tuple(itertools.product(*KINDS.values()))
# Every caption that names one object or two by all its words.
EVERY_PHRASE: tuple[Phrase, ...] = (
    *((one,) for one in EVERY_OBJECT),
    *itertools.product(EVERY_OBJECT, EVERY_OBJECT),
)


def caption(phrase: Phrase) -> str:
    """The phrase as `scenes.Scene.caption` says it."""
    return " and ".join(f"a {' '.join(words)}" for words in phrase)


def phrase(scene: scenes.Scene, generator: torch.Generator) -> Phrase:
    """What a caption names of one or all objects of a scene."""
    kinds = WORDS[_below(len(WORDS), generator)]
    whole = bool(torch.rand((), generator=generator) < WHOLE)
    items = scene.items if whole else scene.items[:1]
    return tuple(tuple(getattr(item, kind) for kind in kinds) for item in items)


def confusable(phrase: Phrase, generator: torch.Generator) -> Phrase:
    """The phrase with one word changed, or exchanged with the other object's at even odds."""
    at, word = (_below(n, generator) for n in (len(phrase), len(phrase[0])))
    chosen = [list(words) for words in phrase]
    if len(phrase) == 2 and bool(torch.rand((), generator=generator) < 0.5):
        chosen[0][word], chosen[1][word] = chosen[1][word], chosen[0][word]
    else:
        old = chosen[at][word]
        others = [other for other in KINDS[KIND_OF[old]] if other != old]
        chosen[at][word] = others[_below(len(others), generator)]
    return tuple(map(tuple, chosen))


def _below(n: int, generator: torch.Generator) -> int:
    return int(torch.randint(n, (), generator=generator))


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


def truth(drawn: Sequence[Blend], phrases: Sequence[Phrase]) -> Tensor:
    """How true each phrase is of each blend, in [0, 1]: (blends, phrases)."""
    layers = [scene for blend in drawn for scene in blend.scenes]
    shares = torch.tensor([share for blend in drawn for share in blend.shares])
    owner = torch.tensor([i for i, blend in enumerate(drawn) for _ in blend.scenes])
    true = truth_of_scenes(layers, phrases) * shares[:, None]
    return torch.zeros(len(drawn), len(phrases)).index_add(0, owner, true).clamp(max=1)


def truth_of_scenes(drawn: Sequence[scenes.Scene], phrases: Sequence[Phrase]) -> Tensor:
    """How true each phrase is of each scene: (scenes, phrases); two objects are asked as two."""
    there = _one_hot([[(i.size, i.colour, i.shape) for i in scene.items] for scene in drawn])
    asked = _one_hot(phrases)
    # (scenes, its objects, phrases, its objects); an object that a phrase does not ask fits all.
    fits = torch.einsum("sil,pjl->sipj", there, asked) == asked.sum(-1)
    first, second = fits[:, 0], fits[:, 1]
    shown = (first[..., 0] & second[..., 1]) | (first[..., 1] & second[..., 0])
    objects = lambda named: named.any(-1).sum(-1)
    left_out = objects(there)[:, None] > objects(asked)
    return shown * torch.where(left_out, LEAVES_OUT, 1.0)


def _one_hot(named: Sequence[Sequence[Sequence[str]]]) -> Tensor:
    """The words of up to two objects: (N, 2, labels)."""
    rows = torch.zeros(len(named), 2, len(scenes.LABELS))
    for row, objects in zip(rows, named, strict=True):
        for place, words in zip(row, objects, strict=False):
            place[[scenes.LABELS.index(word) for word in words]] = 1
    return rows


def batch(step: int, size: int) -> tuple[Tensor, list[str], Tensor]:
    """Images (size, ...), captions and how true they are of each, a function of `step` alone.

    The captions are those of the images, in their order, then hard negatives of each, then as many
    as there are images of all that there are.
    """
    generator = torch.Generator().manual_seed(50_000_000 + step)
    drawn = mixtures(generator, size)
    images = torch.stack([blend.image(SIDE) for blend in drawn])
    phrases = [phrase(blend.drawn(generator), generator) for blend in drawn]
    hard = [confusable(own, generator) for own in phrases * HARD_NEGATIVES]
    any_ = [EVERY_PHRASE[_below(len(EVERY_PHRASE), generator)] for _ in drawn]
    asked = [*phrases, *hard, *any_]
    return degraded(images, generator), list(map(caption, asked)), truth(drawn, asked)


def loss_of(model: open_clip.CLIP, images: Tensor, ids: Tensor, truth: Tensor) -> Tensor:
    """Loss of matching all pairs, and of picking the own caption among hard negatives."""
    image, text, scale, bias = model(images * 2 - 1, ids)
    logits = scale * image @ text.T + bias
    return matching(logits, truth) + picking(logits, truth)


def matching(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean sigmoid loss over all pairs, matches weighing as much as the rest together."""
    weight = (1 - truth.mean()) / truth.mean()
    return nn.functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=weight)


def picking(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean cross entropy of each image's own caption among its own hard negatives.

    Arguments:
        logits: (images, captions), in the order of `batch`.
        truth: how true each is; several may be true of a blend, and share the odds.
    """
    own = torch.arange(len(logits))
    columns = own[:, None] + len(logits) * torch.arange(1 + HARD_NEGATIVES)
    odds = truth.gather(1, columns)
    odds = odds / odds.sum(1, keepdim=True)
    return nn.functional.cross_entropy(logits.gather(1, columns), odds)


def main() -> None:
    """Train, resuming from the last checkpoint."""
    parser = training.parser(__doc__, steps=5000, batch=48, lr=1e-3, out="clip.pt")
    parser.add_argument(
        "--classifier",
        type=Path,
        default=CHECKOUT / "assets/shapes/classifier.safetensors",
        help="exported weights that the image side starts from",
    )
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = build()
    trunk = {k: v.float() for k, v in load_file(args.classifier).items() if not k.startswith("fc.")}
    model.visual.trunk.load_state_dict(trunk)
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
