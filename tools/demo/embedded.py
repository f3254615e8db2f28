"""Draw the demo's images on the embedded host, diffusers."""

from __future__ import annotations

import time
from collections.abc import Callable

import diffusers
import torch
import transformers
from torch import Tensor

from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.clip_text import ClipText
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.types import Energy, Rule
from tools import diffusers_host
from tools.demo import plan


class Embedded:
    """The embedded host: `draw` a job, and its `name`."""

    name = f"diffusers {diffusers.__version__}"

    def __init__(self) -> None:
        """Load the model; the libraries' own progress bars are kept quiet."""
        diffusers.logging.set_verbosity_error()
        diffusers.logging.disable_progress_bar()
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.model = diffusers_host.load()

    def draw(self, job: plan.Job, tick: Callable[[float], None]) -> tuple[Tensor, float]:
        """Images (B, 3, 128, 128) in [0, 1], and seconds for a step of one image."""
        done, began = 0, time.perf_counter()

        def step() -> None:
            nonlocal done
            done += 1
            tick(min(1.0, done / (job.steps * job.column.recurrences)))

        settings = diffusers_host.Settings(
            seed=job.seed,
            batch=job.batch,
            steps=job.steps,
            recurrences=job.column.recurrences,
            eta=1.0,  # euler_ancestral, as in the examples
            decoder="fitted",  # which ComfyUI's decoder auto takes
        )
        latents = diffusers_host.sample(self.model, self._rules(job), settings, step=step)
        seconds = (time.perf_counter() - began) / (job.steps * job.batch)
        return self.model.images(latents), seconds

    def close(self) -> None:
        """Nothing to stop."""

    def _rules(self, job: plan.Job) -> list[Rule]:
        if not job.strength:
            return []
        energy = _energy(job.task, self.model.device)
        window = PercentWindow(0.0, 1.0, value=job.strength)
        steps = job.column.backward_steps
        return [
            Forward(energy, window),
            *([Backward(energy, window, steps=steps, optimiser="gd")] if steps else []),
        ]


def _energy(task: plan.Task, device: torch.device) -> Energy:
    if task.network == "classifier":
        network = diffusers_host.guide_network("classifier", device)
        return ClassLabel(network, task.target, plan.CONFIDENCE)
    # No cutouts, as in the example text-guided: its CLIP knows whole scenes only.
    network = diffusers_host.guide_network("open_clip", device)
    return ClipText(network, task.target, cutouts=0, enough=plan.ENOUGH)
