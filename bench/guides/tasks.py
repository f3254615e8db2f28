"""What each guide is asked, with which settings, and how its pictures are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, interpolate

from guidance_core.energies.box import Box
from guidance_core.energies.color_histogram import ColorHistogram
from guidance_core.energies.detection import Detection
from guidance_core.energies.measurement import Measurement
from guidance_core.energies.segmentation import Segmentation
from guidance_core.energies.style import Style
from guidance_core.inversion import invert
from guidance_core.networks import clip, detector, segmenter, vit
from guidance_core.noise import seeded_noise
from guidance_core.operators import Compose, GaussianBlur, Operator, Shrink
from guidance_core.process import per_sample
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.scenes import PALETTE, SIDE, Item, Scene
from guidance_core.shaping import masked_mean
from guidance_core.tokens import Word
from guidance_core.types import Denoiser, Energy, Estimate, Rule, Run
from tools.demo.diffusers_host import WEIGHTS, NoiseLevels, Settings, Shapes, denoiser, sample

NOISE = 0.002  # of a measurement, in [0, 1]
FILLING_RECURRENCES = 2
RESTORING_STEPS, RESTORING_SAMPLER_STEPS = 2, 6
FITTING, FITTING_STEPS, FITTING_LR = 0.9, 20, 0.03
STRENGTH = 0.5  # of Rule: Forward, relative
STYLING = 0.7  # the same, of a style
STYLE_BLOCKS = (1, 2, 3)
TRANSLATING = 1.5, 1.0  # of the structure, of the colours
PLACING = PercentWindow(0.0, 0.9, "linear_down", 2.0)
DETECTING = PercentWindow(0.0, 0.9, "linear_down", 1.5)
LOOKING = PercentWindow(0.0, 0.6, "linear_down", 2.5)
COLOUR_PLACE = 3  # in the context of "a big red circle", after the start token
GUIDED = Settings(steps=20, eta=1.0)
PLACED = replace(GUIDED, recurrences=4, end_percent=0.4)
BOXED = replace(GUIDED, recurrences=3, end_percent=0.4)
Figures = dict[str, Tensor]  # one number a picture


@dataclass(frozen=True)
class Asked:
    """One batch of a task.

    Arguments:
        rules: what guides it.
        judged: figures of pictures (B, 3, 128, 128), each of shape (B,).
        start: clean pictures to start from, where the settings' `denoise` is below 1.
        noise: x at the first noise level, in place of the seed's own.
        before: pictures to compare with; unguided ones of the same seeds where there are none.
        prompts: one for all pictures, or one for each.
    """

    rules: Sequence[Rule]
    judged: Callable[[Tensor], Figures]
    start: Tensor | None = None
    noise: Tensor | None = None
    before: Tensor | None = None
    prompts: str | Sequence[str] = ""


Ask = Callable[[Shapes, int, int], Asked]


@dataclass(frozen=True)
class Task:
    """One guide and what it must reach.

    Arguments:
        name: name on the command line.
        asks: what is asked, in words.
        recipe: energy, rule and strength, in words.
        bound: what must hold, in words.
        met: whether figures before and after guidance hold the bound.
        asked: rules and judgement of a batch, of a model, its first seed and its size.
        settings: of the sampler; seed and batch are replaced.
        networks: guide networks that take part.
    """

    name: str
    asks: str
    recipe: str
    bound: str
    met: Callable[[Figures, Figures], bool]
    asked: Ask
    settings: Settings
    networks: tuple[str, ...] = ()


def scenes_of(seed: int, batch: int, count: int | None = None) -> list[Scene]:
    """Scenes that no network has seen, one for each seed from `seed` on."""
    seeds = range(85_000_000 + seed, 85_000_000 + seed + batch)
    return [scenes.random_scene(torch.Generator().manual_seed(one), count) for one in seeds]


def psnr(pictures: Tensor, truth: Tensor) -> Tensor:
    """Peak signal to noise ratio in dB, shape (B,)."""
    return decibels((pictures - truth).square().flatten(1).mean(1))


def decibels(error: Tensor) -> Tensor:
    """Mean squared errors (B,) of pictures in [0, 1] in dB; 120 where there is none."""
    return -10 * error.clamp_min(1e-12).log10()


def foreground(pictures: Tensor) -> Tensor:
    """Pixels that are not ground, shape (B, 128, 128), bool."""
    return oracle.nearest(pictures) > 0


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of masks (B, 128, 128), shape (B,)."""
    both, either = (one & other).flatten(1).sum(1), (one | other).flatten(1).sum(1)
    return both / either.clamp_min(1)


def colours(pictures: Tensor) -> Tensor:
    """Share of each palette colour in what is not ground, shape (B, 6); zeros for an empty one."""
    seen = oracle.nearest(pictures).flatten(1)
    counts = torch.stack([(seen == index + 1).sum(1) for index in range(len(PALETTE))], 1)
    return counts / counts.sum(1, keepdim=True).clamp_min(1)


def palette_distance(one: Tensor, other: Tensor) -> Tensor:
    """How much of the palettes of pictures differs, shape (B,), in [0, 1]."""
    return (colours(one) - colours(other)).abs().sum(1) / 2


@cache
def _network(kind: str, device: torch.device) -> nn.Module:
    loaders = {"open_clip": clip, "detector": detector, "segmenter": segmenter, "vit": vit}
    return loaders[kind].load(WEIGHTS / f"{kind}.safetensors").to(device)


def restored(energy: Energy) -> list[Rule]:
    """What restores: steps of Polyak's size at the estimate, to the very end."""
    window = PercentWindow(0.0, 1.0)
    return [Backward(energy, window, steps=RESTORING_STEPS, optimiser="polyak")]


def fitted(energy: Energy) -> list[Rule]:
    """What restores what no latent shows exactly: Polyak's steps would overshoot at the end."""
    rough, fine = PercentWindow(0.0, FITTING), PercentWindow(FITTING, 1.0)
    return [
        Backward(energy, rough, steps=RESTORING_STEPS, optimiser="polyak"),
        Backward(energy, fine, "absolute", FITTING_STEPS, "adam", FITTING_LR),
    ]


def _restoring(
    operator: Operator,
    missing: Tensor | None = None,
    rules: Callable[[Energy], list[Rule]] = restored,
) -> Ask:
    """Scenes to be restored from a measurement with a little noise, starting from what it shows."""

    def asked(model: Shapes, seed: int, batch: int) -> Asked:
        drawn = scenes_of(seed, batch)
        truth = scenes.render(drawn)
        seen = operator(truth)
        seen = seen + NOISE * seeded_noise(seen, 85)
        known = None if missing is None else 1 - missing
        before = start = interpolate(seen, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
        if known is not None:
            start = filled(model, before, known, [scene.caption() for scene in drawn])
            before = before * known

        def judged(pictures: Tensor) -> Figures:
            # What was seen is put back, as the template inpainting does.
            whole = pictures if known is None else torch.lerp(pictures, seen, known)
            error = masked_mean((operator(pictures) - seen).square(), known)
            return {"PSNR": psnr(whole, truth), "consistency": decibels(error)}

        energy = Measurement(seen.to(model.device), operator, NOISE, known)
        return Asked(rules(energy), judged, start, before=before)

    return asked


@dataclass(frozen=True, eq=False)
class Hold:
    """What ComfyUI's sampler does under a noise mask: known latents are put back at every step."""

    latents: Tensor
    known: Tensor

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One evaluation."""
        noise = run.noise(x, 2)
        noisy = self.latents + per_sample(sigma, x) * noise
        estimate = denoise(torch.lerp(x, noisy, self.known), sigma)
        return estimate.moved((self.latents - estimate.x0) * self.known)


def filled(model: Shapes, pictures: Tensor, known: Tensor, captions: Sequence[str]) -> Tensor:
    """Pictures whose missing part the model made up in latents, as inpainting in ComfyUI does."""
    ground = (pictures * known).sum((2, 3), keepdim=True) / known.sum()
    latents = model.encoded(torch.lerp(ground, pictures, known))
    cells = -adaptive_max_pool2d(-known[None, None], latents.shape[2:])
    settings = Settings(batch=1, steps=20, cfg=4.0, recurrences=FILLING_RECURRENCES)
    made = [
        sample(model, [Hold(row[None], cells.to(row))], settings, positive=caption)
        for row, caption in zip(latents, captions, strict=True)
    ]
    with torch.no_grad():
        return model.decode(torch.cat(made)).cpu()


def _centre() -> Tensor:
    """The middle quarter of a picture is missing, as in the inpainting of DPS."""
    missing = torch.zeros(SIDE, SIDE)
    missing[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] = 1
    return missing


def _pushed(energy: Energy, strength: float = STRENGTH) -> list[Rule]:
    """The gradient through the model, over the whole run."""
    return [Forward(energy, PercentWindow(0.0, 1.0, value=strength))]


def _placed(energy: Energy) -> list[Rule]:
    """Hard at first, when places are decided, then ever more gently."""
    return [Forward(energy, PLACING)]


def _segmented(model: Shapes, seed: int, batch: int) -> Asked:
    """One object named by the prompt, where a map of each picture's own says."""
    drawn = scenes_of(seed, batch, count=1)
    areas = torch.stack([scenes.inside(scene.items[0]) for scene in drawn])
    network: Any = _network("segmenter", model.device)
    numbers = [network.pixel_labels.index(scene.items[0].shape) for scene in drawn]
    classes = areas * torch.tensor(numbers).view(-1, 1, 1)

    def judged(pictures: Tensor) -> Figures:
        return {"IoU": overlap(foreground(pictures), areas)}

    energy = Segmentation(network, classes.to(model.device))
    return Asked(_placed(energy), judged, prompts=[scene.caption() for scene in drawn])


def _detected(attention: bool) -> Ask:
    """One object named by the prompt, in a box; the same for the batch.

    With `attention` its colour must look there too, which decides the place before a detector can.
    """

    def asked(model: Shapes, seed: int, batch: int) -> Asked:
        (scene,) = scenes_of(seed, 1, count=1)
        (item,) = scene.items
        network: Any = _network("detector", model.device)

        def judged(pictures: Tensor) -> Figures:
            alike = [[i for i in v.items if i.shape == item.shape] for v in oracle.judge(pictures)]
            best = [max((box_overlap(item, seen) for seen in some), default=0.0) for some in alike]
            return {"box IoU": torch.tensor(best)}

        box = torch.tensor([item.box]) / SIDE
        detection = Detection(network, box, (item.shape,))
        if not attention:
            return Asked(_placed(detection), judged, prompts=scene.caption())
        looking = Box((Word(item.colour, (COLOUR_PLACE,)),), tuple(box[0].tolist()))
        rules = [Forward(looking, LOOKING), Forward(detection, DETECTING)]
        return Asked(rules, judged, prompts=scene.caption())

    return asked


def box_overlap(one: Item, other: Item) -> float:
    """Intersection over union of the boxes of two objects."""
    a, b = one.box, other.box
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    both = max(width, 0.0) * max(height, 0.0)
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    return both / (area(a) + area(b) - both)


def _coloured(make: Callable[[Shapes, Tensor], Energy], strength: float = STRENGTH) -> Ask:
    """The colours of another scene."""

    def asked(model: Shapes, seed: int, batch: int) -> Asked:
        reference = scenes.render(scenes_of(seed, batch, count=1))

        def judged(pictures: Tensor) -> Figures:
            return {"palette distance": palette_distance(pictures, reference)}

        energy = make(model, reference.to(model.device))
        return Asked(_pushed(energy, strength), judged)

    return asked


def _style(model: Shapes, reference: Tensor) -> Energy:
    network: Any = _network("open_clip", model.device)
    return Style(network, reference, STYLE_BLOCKS)


def _translated(model: Shapes, seed: int, batch: int) -> Asked:
    """The structure of one scene in the colours of another, started from the first's own noise."""
    source = scenes.render(scenes_of(seed, batch, count=1))
    target = scenes.render(scenes_of(1000 + seed, batch, count=1))
    network: Any = _network("segmenter", model.device)
    structure = Segmentation(network, source.to(model.device))
    colour = ColorHistogram(target.to(model.device))

    def judged(pictures: Tensor) -> Figures:
        return {
            "contour IoU": overlap(foreground(pictures), foreground(source)),
            "palette distance": palette_distance(pictures, target),
        }

    rules = [*_pushed(structure, TRANSLATING[0]), *_pushed(colour, TRANSLATING[1])]
    noise = noise_of(model, source, GUIDED.steps)
    return Asked(rules, judged, noise=noise, before=source)


def noise_of(model: Shapes, pictures: Tensor, steps: int) -> Tensor:
    """The noise that the empty prompt makes these pictures of."""
    sigmas, states = NoiseLevels().normal(steps).to(model.device), model.encode([""])
    plain = denoiser(model, states, states, 1.0)
    with torch.no_grad():
        return invert(plain, model.encoded(pictures), sigmas, torch.ones_like, iterations=2).states[
            0
        ]


def _gained(before: Figures, after: Figures) -> bool:
    gain = (after["PSNR"] - before["PSNR"]).mean()
    return bool(gain >= 3 and after["consistency"].median() >= 40)


def _halved(before: Figures, after: Figures) -> bool:
    name = "palette distance"
    return bool(after[name].mean() <= before[name].mean() / 2)


def _held(before: Figures, after: Figures) -> bool:
    return bool((after["box IoU"] >= 0.5).float().mean() >= 0.75)


def _falling(window: PercentWindow) -> str:
    return f"Forward relative, falling from {window.value:g} to 0 at {window.end_percent:g}"


RESTORED = "PSNR 3 dB higher (mean), consistency with the measurement 40 dB (median)"
POLYAK = f"Measurement, Backward relative 1, {RESTORING_STEPS} polyak steps, to the end"
PUSH = f"Forward relative {STRENGTH:g}, to the end"
BOXES = "75 % hold an object of the shape with IoU 0.5"
PLACE = _falling(PLACING)
IMAGE_TO_IMAGE = Settings(steps=RESTORING_SAMPLER_STEPS, denoise=0.3)


def _restoration(name: str, asks: str, ask: Ask, recipe: str = POLYAK) -> Task:
    return Task(name, asks, recipe, RESTORED, _gained, ask, IMAGE_TO_IMAGE)


TASKS = (
    _restoration("sr4", "super-resolution x4", _restoring(Shrink(4))),
    _restoration(
        "deblur",
        "a Gaussian blur of 3 pixels",
        _restoring(GaussianBlur(3.0)),
    ),
    _restoration(
        "inpaint",
        "the middle quarter is missing",
        _restoring(Compose(), _centre(), fitted),
        f"Measurement, Backward relative 1, {RESTORING_STEPS} polyak steps, until {FITTING:g}; "
        f"then absolute, {FITTING_STEPS} adam steps of {FITTING_LR:g}; for the PSNR what was seen "
        "is put back",
    ),
    Task(
        "segmentation",
        "one object of the prompt, by a map",
        "Segmentation by a class map, " + PLACE,
        "IoU with the area 0.7 (median)",
        lambda before, after: bool(after["IoU"].median() >= 0.7),
        _segmented,
        PLACED,
        ("segmenter",),
    ),
    Task(
        "detector",
        "one object of the prompt, by a box and the detector alone",
        "Detection, " + PLACE,
        BOXES,
        _held,
        _detected(attention=False),
        PLACED,
        ("detector",),
    ),
    Task(
        "detection",
        "one object of the prompt, by a box, the detector and attention",
        f"Box of the colour's attention, {_falling(LOOKING)}; Detection, {_falling(DETECTING)}",
        BOXES,
        _held,
        _detected(attention=True),
        BOXED,
        ("detector",),
    ),
    Task(
        "style",
        "the style of a scene",
        f"Style of CLIP blocks 1 to 3, Forward relative {STYLING:g}, to the end",
        "palette distance halved (mean)",
        _halved,
        _coloured(_style, STYLING),
        GUIDED,
        ("open_clip",),
    ),
    Task(
        "colour",
        "the palette of a scene",
        "Palette with a reference, " + PUSH,
        "palette distance halved (mean)",
        _halved,
        _coloured(lambda model, reference: ColorHistogram(reference)),
        GUIDED,
    ),
    Task(
        "translation",
        "structure of one scene, palette of another",
        "Invert with an empty prompt, Segmentation of the source and Palette, Forward "
        f"relative {TRANSLATING[0]:g} and {TRANSLATING[1]:g}, to the end",
        "contour IoU 0.75 (median), palette distance halved (mean)",
        lambda before, after: (
            _halved(before, after) and bool(after["contour IoU"].median() >= 0.75)
        ),
        _translated,
        Settings(steps=20),
        ("segmenter",),
    ),
)
