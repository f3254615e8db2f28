"""Measure the exported Shapes networks and write the model card.

    python -m tools.shapes.evaluate --samples 256

The oracle judges; 20 Euler steps and CFG 4 for captions, CFG 1 for the empty prompt.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor
from torchvision.ops import box_iou
from tqdm import tqdm

from guidance_core.energies.structure import Structure
from guidance_core.networks import (
    classifier,
    clip,
    detector,
    fast_decoder,
    hspace,
    noisy_classifier,
    segmenter,
    vit,
)
from guidance_core.procedures.inversion import psnr
from guidance_core.shapes import oracle, scenes
from guidance_core.types import Estimate
from tools import diffusers_host
from tools.shapes import (
    joint,
    train_clip,
    train_detector,
    train_noisy_classifier,
    train_segmenter,
)
from tools.shapes.train_classifier import labels as labels_of
from tools.shapes.unseen import scenes_from

BATCH = 32
# Noise levels at which the classifier of noisy latents is asked.
NOISY = (0.3, 1.0, 2.0, 4.0, 8.0)
CARD = """# Shapes: model card

A small text-to-image latent diffusion model of flat scenes, in the anatomy of Stable Diffusion 1:
one or two objects, {shapes} in {colours}, small or big, on a plain ground. It exists to show and
measure guidance without a download. Trained from scratch on drawn scenes by `tools/shapes`; no
image or weight from anywhere else. Licence: Apache-2.0.

| part | file | parameters |
|---|---|---|
{parts}

Measured by the pixel oracle (`python -m tools.shapes.evaluate --samples {samples}`):

| figure | value |
|---|---|
{figures}

Captions read "a big red circle" or "a small white square and a big blue triangle"; sizes and
colours may be left out. They never name a place. Not possible: other words, touching objects, and,
without its LoRAs, three objects and few steps (with 6 instead of 20 a caption's colours come out
wrong).

Three objects need the LoRA `three_objects.safetensors` (739,328 parameters, for the U-Net): copy it
to `models/loras` and load it with the stock *LoraLoaderModelOnly*. It was trained on drawn scenes,
most of three objects, under captions that name two of them at most (the recipe of
`tools/shapes/train_lora.py`: two trainings of 900 batches of 32, 20 minutes each). Prompts of three
objects do best without articles: "red circle and blue square and green triangle". Unguided a fifth
of them come out complete; colours may bleed, and with captions of two a third object may turn up.

Few steps need the LoRA `turbo.safetensors` (739,328 parameters, for the U-Net; the widget `lora` of
*Load Shapes* has it too): sampler `lcm`, scheduler `sgm_uniform`, CFG 1. It was trained on drawn
scenes of one or two objects against a critic (`tools/shapes/train_turbo.py`: 280 batches of 16,
seven minutes of one CPU core). In 4 and in 8 steps 84 % of 64 captions are shown exactly; of 64
images of the empty prompt 80 % and 75 % are clean scenes. Without the LoRA the same sampler shows
78 % and 91 % of 32 captions; of the empty prompt 94 % are clean in 4 steps, most with one object
alone, and 59 % in 8.
"""


def sampled(model: diffusers_host.Shapes, captions: list[str], cfg: float, seed: int) -> Tensor:
    """One image for each caption (B, 3, 128, 128): 20 Euler steps of the stock schedule."""
    settings = diffusers_host.Settings(seed=seed, batch=len(captions), cfg=cfg)
    return model.images(diffusers_host.sample(model, [], settings, positive=captions))


def transformer_of(folder: Path) -> joint.Joint:
    """The exported transformer."""
    model = joint.Joint()
    model.net = FluxTransformer2DModel.from_pretrained(folder, torch_dtype=torch.float32)
    return model.eval().requires_grad_(False)


def painted(
    transformer: joint.Joint, model: diffusers_host.Shapes, captions: list[str], seed: int
) -> Tensor:
    """One image for each caption by the transformer: 20 Euler steps at CFG 1."""
    states = model.encode(captions)[:, : joint.TEXT]
    return model.images(joint.painted(transformer, states, seed))


def shares(
    captions: list[str], paint: Callable[[list[str], int], Tensor], judge: Callable[..., bool]
) -> float:
    """Fraction of the images that `paint(captions, seed)` gives and `judge` accepts."""
    good = 0
    for first in tqdm(range(0, len(captions), BATCH)):
        part = captions[first : first + BATCH]
        verdicts = oracle.judge(paint(part, first))
        good += sum(judge(v, c) for v, c in zip(verdicts, part, strict=True))
    return good / len(captions)


@torch.no_grad()
def reconstruction(model: diffusers_host.Shapes, count: int) -> tuple[float, float]:
    """PSNR in dB of the VAE's round trip, and the share that the oracle still reads right."""
    some = scenes_from(70_000_000, count)
    images = scenes.render(some)
    back = model.decode(model.latents(images))
    right = [v.matches(s.caption()) for v, s in zip(oracle.judge(back), some, strict=True)]
    return float(psnr(back, images).mean()), sum(right) / count


@torch.no_grad()
def classified(path: Path, count: int) -> float:
    """Share of all labels of unseen clean scenes that the classifier gets right."""
    some = scenes_from(80_000_000, count)
    truth = torch.tensor(
        [[v.has(n) for n in scenes.LABELS] for v in oracle.judge(scenes.render(some))]
    )
    return float(((classifier.load(path)(scenes.render(some)) > 0) == truth).float().mean())


@torch.no_grad()
def under_noise(model: diffusers_host.Shapes, path: Path, count: int) -> tuple[list[float], float]:
    """Share of labels right on unseen scenes at each of the noise levels `NOISY`.

    Beside them the share that is right if the commoner answer to each label is always given.
    """
    some, network = scenes_from(80_000_000, count), noisy_classifier.load(path).network
    truth, generator = labels_of(some) > 0.5, torch.Generator().manual_seed(81_000_000)
    x0 = torch.cat(
        [model.latents(scenes.render(some[i : i + BATCH])) for i in range(0, count, BATCH)]
    )
    right = []
    for sigma in NOISY:
        shown = train_noisy_classifier.noised(x0, torch.full((count,), sigma), generator)
        right.append(float(((network(shown) > 0) == truth).float().mean()))
    often = truth.float().mean(0)
    return right, float(torch.maximum(often, 1 - often).mean())


@torch.no_grad()
def named(path: Path, count: int, objects: int) -> float:
    """Share of unseen scenes of some number of objects that CLIP names exactly.

    Among all captions that name one object or two by all their words; the objects of two are named
    in either order, and only captions of two are asked.
    """
    generator = torch.Generator().manual_seed(90_000_000)
    some, network = [scenes.random_scene(generator, objects) for _ in range(count)], clip.load(path)
    phrases = [p for p in train_clip.EVERY_PHRASE if objects == 1 or len(p) == 2]
    text = network.encode_text([train_clip.caption(phrase) for phrase in phrases])
    best = (network.encode_image(scenes.render(some)) @ text.T).argmax(1).tolist()
    own = [sorted((i.size, i.colour, i.shape) for i in scene.items) for scene in some]
    right = [sorted(phrases[n]) == words for n, words in zip(best, own, strict=True)]
    return sum(right) / count


@torch.no_grad()
def overlap(path: Path, count: int) -> float:
    """Mean intersection over union of the segmenter's shapes with the truth, on unseen scenes."""
    some, network = scenes_from(85_000_000, count), segmenter.load(path)
    found = network(scenes.render(some)).argmax(1)
    truth = torch.stack([train_segmenter.class_map(scene) for scene in some])
    shares = []
    for label in range(1, len(train_segmenter.LABELS)):
        there, wanted = found == label, truth == label
        shares.append((there & wanted).sum() / (there | wanted).sum())
    return float(torch.stack(shares).mean())


def boxed(path: Path, count: int) -> float:
    """Share of the objects of unseen scenes around which the detector puts the right box."""
    some, network = scenes_from(85_000_000, count), detector.load(path)
    right = []
    for scene, found in zip(some, network.detections(scenes.render(some)), strict=True):
        sure = found["scores"] > 0.5
        target = train_detector.target(scene)
        shares = box_iou(target["boxes"], found["boxes"][sure])
        alike = target["labels"][:, None] == found["labels"][sure]
        right += ((shares >= 0.5) & alike).any(1).tolist()
    return sum(right) / len(right)


@torch.no_grad()
def structure_costs(path: Path, count: int) -> tuple[float, float]:
    """What other colours and other shapes cost *Energy: Structure*, above the scene itself.

    The mean over unseen scenes of one object, `diffuseit`.
    """
    some, network = scenes_from(85_000_000, count, 1), vit.load(path)
    energy = Structure(network, scenes.render(some))

    def cost(**words: dict[str, str]) -> float:
        drawn = []
        for scene in some:
            (item,) = scene.items
            other = {name: after[getattr(item, name)] for name, after in words.items()}
            drawn.append(scenes.Scene((replace(item, **other),)))
        images = scenes.render(drawn)
        return float(energy(Estimate(images, torch.zeros(count), lambda x0: x0)).mean())

    colours, shapes = _following(scenes.PALETTE), _following(scenes.SHAPES)
    itself = cost()
    return cost(colour=colours) - itself, cost(shape=shapes) - itself


def _following(words: Iterable[str]) -> dict[str, str]:
    """Each word's successor, the first one's for the last."""
    names = list(words)
    return dict(zip(names, names[1:] + names[:1], strict=True))


def main() -> None:
    """Measure and write assets/shapes/README.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--weights", type=Path, default=diffusers_host.WEIGHTS)
    parser.add_argument(
        "--trained-on", default="", help="a line for the card: samples, hours, hardware"
    )
    args = parser.parse_args()
    model = diffusers_host.load(args.weights, "cpu")
    labels, noisy, sentences, areas, boxes, eyes = (
        args.weights / f"{n}.safetensors"
        for n in ("classifier", "noisy_classifier", "open_clip", "segmenter", "detector", "vit")
    )
    fast = args.weights / "fast_decoder.safetensors"
    shift = args.weights / "h_space_blue.safetensors"
    captions = [scene.caption() for scene in scenes_from(95_000_000, args.samples)]
    single = [c for c in captions if " and " not in c]
    double = [c for c in captions if " and " in c]
    eps = lambda cfg: lambda part, seed: sampled(model, part, cfg, seed)
    transformer, matches = transformer_of(args.weights / "transformer"), oracle.Verdict.matches
    flow = lambda part, seed: painted(transformer, model, part, seed)
    one, two = (shares(c, eps(4.0), matches) for c in (single, double))
    one_joint, two_joint = (shares(c, flow, matches) for c in (single, double))
    both = (one * len(single) + two * len(double)) / len(captions)
    clean = shares([""] * args.samples, eps(1.0), lambda verdict, _: verdict.clean)
    decibels, read = reconstruction(model, 64)
    right, often = under_noise(model, noisy, 512)
    figures = {
        f"captions shown exactly, CFG 4 ({len(captions)} random captions)": f"{both:.1%}",
        f"... of one object ({len(single)})": f"{one:.1%}",
        f"... of two objects ({len(double)})": f"{two:.1%}",
        "clean scenes, empty prompt, CFG 1": f"{clean:.1%}",
        "transformer, CFG 1, captions of one object shown exactly": f"{one_joint:.1%}",
        "transformer, captions of two objects": f"{two_joint:.1%}",
        "VAE round trip": f"{decibels:.1f} dB, {read:.1%} read right",
        "fast decoder, against the VAE on unseen estimates (`tools/shapes/fit_decoder.py`)": (
            f"{fast_decoder.load(fast).card.psnr:.1f} dB"
        ),
        "classifier, labels right on unseen scenes": f"{classified(labels, 256):.1%}",
        "classifier of noisy latents, labels right at sigma "
        + ", ".join(f"{sigma:g}" for sigma in NOISY): ", ".join(f"{one:.1%}" for one in right),
        "... always giving the commoner answer": f"{often:.1%}",
        "segmenter, overlap (IoU) with shapes of unseen scenes": f"{overlap(areas, 64):.1%}",
        "detector, objects of unseen scenes boxed right": f"{boxed(boxes, 64):.1%}",
        "open_clip, unseen scenes of one object named exactly, of 1332 captions": (
            f"{named(sentences, 256, 1):.1%}"
        ),
        "... of two objects, of 1296 captions": f"{named(sentences, 256, 2):.1%}",
    }
    figures["ViT, energy of structure of another colour, of another shape (of unseen scenes)"] = (
        "{:.4f}, {:.4f}".format(*structure_costs(eyes, 256))
    )
    if args.trained_on:
        figures["training"] = args.trained_on
    parts = {
        "U-Net": ("unet/", model.unet),
        "transformer": ("transformer/", transformer),
        "VAE": ("vae/", model.vae),
        "text encoder": ("text_encoder/", model.text_encoder),
        "fast decoder": (fast.name, fast_decoder.load(fast)),
        "classifier": (labels.name, classifier.load(labels)),
        "classifier of noisy latents": (noisy.name, noisy_classifier.load(noisy)),
        "open_clip": (sentences.name, clip.load(sentences)),
        "segmenter": (areas.name, segmenter.load(areas)),
        "detector": (boxes.name, detector.load(boxes)),
        "ViT": (eyes.name, vit.load(eyes)),
        "h-space direction, towards blue": (shift.name, hspace.load(shift).network),
    }
    card = CARD.format(
        shapes=", ".join(f"{s}s" for s in scenes.SHAPES),
        colours=", ".join(scenes.PALETTE),
        samples=args.samples,
        parts="\n".join(
            f"| {k} | `{f}` | {sum(p.numel() for p in m.parameters()):,} |"
            for k, (f, m) in parts.items()
        ),
        figures="\n".join(f"| {name} | {value} |" for name, value in figures.items()),
    )
    (args.weights / "README.md").write_text(card, encoding="utf-8")
    print(card)


if __name__ == "__main__":
    main()
