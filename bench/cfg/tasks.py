"""What is asked above CFG 1, and what the oracle counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from bench.quality.tasks import TASKS as RESTORING
from bench.quality.tasks import scenes_of
from guidance_core.attention.words import Word
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.clip_text import ClipText
from guidance_core.energies.position import Position
from guidance_core.procedures.inversion import psnr
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.manifold import Manifold
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.oracle import Verdict
from guidance_core.types import Energy, Rule
from tools.diffusers_host import FAST_DECODER, Settings, Shapes, guide_network, sample

FIRST_SEED = 20_000_000  # none of these images had a part in choosing a setting
CFG_SCALES = (1.5, 4.0, 7.5)
SHAPES = ("circle", "square", "triangle")
COLOURS = ("blue", "red", "yellow")
PLACE, NEAR = (0.3, 0.7), 12.0
WINDOW = 0.7  # of the rules' nodes
CONFIDENCE = 0.9  # of the label's node
RULES: dict[str, Callable[..., Rule]] = {
    "Forward": lambda energy, when, look: Forward(energy, when, look_at=look),
    "Manifold": lambda energy, when, look: Manifold(energy, when, look_at=look),
    "Backward, polyak": lambda energy, when, look: Backward(
        energy, when, steps=2, optimiser="polyak", look_at=look
    ),
}


@dataclass(frozen=True)
class Task:
    """One thing asked beside a prompt.

    Arguments:
        asks: in words.
        strengths: of the rule, by its name.
        prompts: of a batch of seeds.
        energy: of a batch of seeds.
        satisfied: whether a sample (its number, what the oracle saw) shows what is asked.
        kept: whether it also shows what its prompt names.
        start: latents that sampling starts from; None is noise.
        settings: of the sampler.
        networks: guide networks of Shapes that the energy uses.
    """

    asks: str
    strengths: dict[str, tuple[float, ...]]
    prompts: Callable[[int, int], list[str]]
    energy: Callable[[Shapes, int, int], Energy]
    satisfied: Callable[[int, Verdict], bool]
    kept: Callable[[int, Verdict], bool]
    start: Callable[[Shapes, int, int], Tensor] | None = None
    settings: Settings = field(default_factory=Settings)
    networks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ByRow:
    """Of each image a label of its own.

    Arguments:
        energies: of the labels, each (B,).
        labels: which of them each image is asked for.
    """

    energies: tuple[ClassLabel, ...]
    labels: tuple[int, ...]
    reads_image = True

    def __call__(self, estimate: object) -> Tensor:
        """Energy of shape (B,)."""
        values = torch.stack([energy(estimate) for energy in self.energies])
        return values.gather(0, torch.tensor([self.labels])).squeeze(0)


def _has(words: Sequence[str], verdict: Verdict) -> bool:
    return any(set(words) <= {i.shape, i.colour, i.size} for i in verdict.items)


def _third(seed: int) -> int:
    return seed % len(SHAPES)


def _shapes(seed: int, count: int) -> list[str]:
    return [f"a {SHAPES[_third(seed + i)]}" for i in range(count)]


def _colours(model: Shapes, seed: int, count: int) -> Energy:
    network = guide_network("classifier", model.device)
    energies = tuple(ClassLabel(network, colour, CONFIDENCE) for colour in COLOURS)
    return ByRow(energies, tuple(_third(seed + i) for i in range(count)))


def _sentence(model: Shapes, seed: int, count: int) -> Energy:
    return ClipText(guide_network("open_clip", model.device), SENTENCE)


def _placed(seed: int, verdict: Verdict) -> bool:
    x, y = (scenes.SIDE * part for part in PLACE)
    near = lambda item: (item.x - x) ** 2 + (item.y - y) ** 2 < NEAR**2
    return any({"red", "circle"} <= {i.colour, i.shape} and near(i) for i in verdict.items)


def _restoring() -> Task:
    task = next(task for task in RESTORING if task.name == "super-resolution x4")
    truth = lambda seed, count: scenes.render(scenes_of(seed, count))

    def satisfied(seed: int, verdict: Verdict) -> bool:
        return task.satisfied(verdict, scenes_of(seed, 1)[0])

    return Task(
        "a scene from a quarter of its pixels a side, beside a prompt that names its shapes alone",
        {"Backward, polyak": (1.0,)},
        lambda seed, count: [scene.caption(("shape",)) for scene in scenes_of(seed, count)],
        lambda model, seed, count: task.build(model.device, truth(seed, count), 1.0),
        satisfied,
        satisfied,
        lambda model, seed, count: model.latents(task.start(truth(seed, count))),
        Settings(steps=10, denoise=0.5),
    )


SENTENCE, PROMPT = "a big blue square", "a big red circle"
TASKS = {
    "label": Task(
        "a colour by its label, beside a prompt that names the shape",
        {"Forward": (0.8,), "Manifold": (1.0,)},
        _shapes,
        _colours,
        lambda seed, verdict: _has([COLOURS[_third(seed)]], verdict),
        lambda seed, verdict: _has([COLOURS[_third(seed)], SHAPES[_third(seed)]], verdict),
        settings=Settings(decoder="fitted"),
        networks=("classifier", FAST_DECODER.stem),
    ),
    "measurement": _restoring(),
    "position": Task(
        f'the place of "{PROMPT.removeprefix("a ")}", which is the prompt, within 12 pixels',
        {"Forward": (0.5,)},
        lambda seed, count: [PROMPT] * count,
        lambda model, seed, count: Position((Word("big red circle", (2, 3, 4)),), PLACE),
        _placed,
        _placed,
    ),
    "sentence": Task(
        f'"{SENTENCE}" by CLIP, beside the prompt "a square"',
        {"Forward": (0.8,)},
        lambda seed, count: ["a square"] * count,
        _sentence,
        lambda seed, verdict: _has(["big", "blue", "square"], verdict),
        lambda seed, verdict: _has(["big", "blue", "square"], verdict),
        settings=Settings(decoder="fitted"),
        networks=("open_clip", FAST_DECODER.stem),
    ),
}


def _rule(energy: Energy, rule: str, strength: float, look: str, **_: object) -> Rule:
    until = 1.0 if "polyak" in rule else WINDOW
    return RULES[rule](energy, PercentWindow(0.0, until, value=strength), look)


def measured(model: Shapes, task: Task, job: dict[str, Any]) -> dict[str, list[Any]]:
    """What the oracle says of each image of a batch."""
    seed, count = FIRST_SEED + int(job["seed"]), int(job["batch"])
    start = None if task.start is None else task.start(model, seed, count)
    energy = task.energy(model, seed, count)
    settings = replace(task.settings, seed=seed, batch=count, cfg=job["cfg"])
    latents = sample(
        model,
        [_rule(energy, **job)] if job["rule"] else [],
        settings,
        positive=task.prompts(seed, count),
        start=start,
    )
    images = model.images(latents)
    verdicts = list(enumerate(oracle.judge(images), seed))
    restored = {}
    if task.start is not None:
        restored["psnr"] = psnr(images, scenes.render(scenes_of(seed, count))).tolist()
    return {
        "satisfied": [task.satisfied(*one) for one in verdicts],
        "clean": [one[1].clean for one in verdicts],
        "kept": [one[1].clean and task.kept(*one) for one in verdicts],
        **restored,
    }
