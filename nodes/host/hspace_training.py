"""Train a direction in h-space in the host: run after run, kept between them, written at the end.

References:
    Diffusion Models already have a Semantic Latent Space (Asyrp), Kwon et al. 2023,
    arXiv:2210.10960, section 5.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import torch

from ...guidance_core.networks import hspace
from ...guidance_core.networks.hspace import TrainedDirection
from ...guidance_core.procedures.direction_training import DirectionalClip, DirectionTraining
from ...guidance_core.procedures.teaching import Teaching
from ...guidance_core.schedules import PercentWindow
from . import guide, networks
from .asked import Asked
from .hspace_directions import Runs, lines_of
from .kept import check_name, kept_in
from .middle import UNetMiddle
from .networks import FOLDER

WORK = "guidance_directions"
REPEATS = 3  # steps of training at each noise level: a decoder's pass each, where a run takes more
SHOWN = 20  # steps whose mean loss is told


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a direction is trained to do.

    Arguments:
        runs: the runs it is trained on.
        network: a CLIP model; None to learn from the model's own answer to the target.
        vae: the host's VAE; None where a small decoder is there.
        source: sentences of what is there, one per line, and prompts of the runs.
        target: sentences of what it should become.
        rate: learning rate.
        keep: weight of what should not change.
        window: where in a run it is trained, from and until, in [0, 1].
        name: of the file, without its end.
        key: tells what it is made by from all else.

    Raises:
        ValueError: no target, an empty window, or a name that is more than a name.
    """

    runs: Runs
    network: Any
    vae: Any
    source: str
    target: str
    rate: float
    keep: float
    window: tuple[float, float]
    name: str
    key: str

    def __post_init__(self) -> None:
        check_name(self.name)
        lines_of(self.target, "target")
        if self.file.is_file() and not hspace.is_direction(self.file):
            raise ValueError(
                f"models/{FOLDER}/{self.file.name} is there and is no direction: choose another "
                "name"
            )

    @property
    def file(self) -> Path:
        """The file that is made."""
        return networks.folder() / f"{self.name}.safetensors"

    @property
    def state(self) -> Path:
        """File of the direction on its way."""
        return kept_in(WORK, self.name) / f"{self.key}.pt"

    @property
    def loss(self) -> DirectionalClip | None:
        """What it is trained by; None where the model itself tells."""
        if self.network is None:
            return None
        sides = (lines_of(self.source, "source"), lines_of(self.target, "target"))
        return DirectionalClip(self.network, *map(tuple, sides), keep=self.keep)


def trained(lesson: Lesson) -> tuple[TrainedDirection, str]:
    """Train, going on where an earlier call was stopped; returns the direction and its report."""
    if found := _finished(lesson):
        return found, f"read from {lesson.file.name}"
    middle = UNetMiddle(lesson.runs.model.get_model_object("diffusion_model"))
    with torch.inference_mode(False):
        device = comfy.model_management.get_torch_device()
        training = DirectionTraining(middle.site.channels, lesson.rate, device)
        training.resume(lesson.state)
        _teach(lesson, training, middle)
        network: Any = training.network.eval().requires_grad_(False).cpu()
    direction = TrainedDirection(middle.site, network, lesson.key)
    hspace.save(direction, lesson.file)
    lesson.state.unlink(missing_ok=True)
    last = training.losses[-SHOWN:]
    return direction, f"loss {sum(last) / max(len(last), 1):.2f}, written to {lesson.file.name}"


def _finished(lesson: Lesson) -> TrainedDirection | None:
    """What this lesson made before; a file that an earlier version made is trained anew."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        found = hspace.load(lesson.file)
        if isinstance(found, TrainedDirection) and found.made_by == lesson.key:
            return found
    return None


def _teach(lesson: Lesson, training: DirectionTraining, middle: UNetMiddle) -> None:
    bar, loss, asked = comfy.utils.ProgressBar(lesson.runs.count), lesson.loss, Asked()
    window = PercentWindow(*lesson.window)
    told = asked if loss is None else None
    rule = Teaching(loss, training.shift, training.step, middle, window, told, REPEATS)
    model = guide.apply(lesson.runs.model, [rule], vae=lesson.vae)
    source = list(map(lesson.runs.encoded, lines_of(lesson.source, "source")))
    target = list(map(lesson.runs.encoded, lines_of(lesson.target, "target"))) if told else []
    for number in range(training.runs, lesson.runs.count):
        beside = asked.beside(model, lesson.runs.mixed(target, number)) if told else model
        training.pace(lesson.runs.count)
        lesson.runs.sample(beside, lesson.runs.mixed(source, number), lesson.runs.seed + number)
        training.runs = number + 1
        training.save(lesson.state)
        bar.update_absolute(training.runs)
