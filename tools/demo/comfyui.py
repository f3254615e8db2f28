"""Draw the demo's images in a real ComfyUI server, with an example workflow."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tests.host.server import running
from tools.demo import plan
from tools.hosts import CHECKOUT, Host

WORKFLOWS = CHECKOUT / "example_workflows" / "api"
SAMPLER = "EGGuidedKSampler"
# Loader and energy of each kind of task, and the widget that names its target.
KINDS = {
    "clip": ("text-guided", "EGLoadOpenCLIP", "EGEnergyCLIPText", "text"),
    "classifier": ("classifier-guided", "EGLoadClassifier", "EGEnergyClassifier", "label"),
}

Graph = dict[str, dict[str, Any]]


class ComfyUI:
    """A ComfyUI server: `draw` a job, and its `name`."""

    def __init__(self, host: Host, python: Path) -> None:
        self.name = f"comfyui {host.version}"
        self._open = contextlib.ExitStack()
        folder = tempfile.TemporaryDirectory(prefix="energy-guidance-")
        base = Path(self._open.enter_context(folder)) / "base"
        self.server = self._open.enter_context(running(host.path, base, str(python)))

    def draw(self, job: plan.Job, tick: Callable[[float], None]) -> tuple[Tensor, float]:
        """Images (B, 3, 128, 128) in [0, 1], and seconds for a step of one image."""
        graph = workflow(job)
        sampler, saver = node_of(graph, SAMPLER), node_of(graph, "SaveImage")
        stamps: list[tuple[float, int, int]] = []

        def event(message: dict[str, Any]) -> None:
            data = message["data"]
            if message["type"] == "progress" and data.get("node", sampler) == sampler:
                stamps.append((time.perf_counter(), data["value"], data["max"]))
                tick(data["value"] / data["max"])

        outcome = self.server.run(graph, event)
        files = [self.server.view(image) for image in outcome.images(saver)]
        images = torch.stack([_image(file) for file in files])
        return images, _seconds(stamps) / (job.steps * job.batch)

    def close(self) -> None:
        """Stop the server."""
        self._open.close()


def workflow(job: plan.Job) -> Graph:
    """The text-guided example with a job's target, seed, batch and way of guiding put in."""
    graph = _example("text-guided")
    _swap_energy(graph, job.task)
    inputs = graph[node_of(graph, SAMPLER)]["inputs"]
    inputs |= {
        "seed": job.seed,
        "steps": job.steps,
        "strength": job.strength,
        "backward_steps": job.column.backward_steps,
        "recurrences": job.column.recurrences,
        "tries": 1,
        "start_percent": 0.0,
        "end_percent": 1.0,
    }
    graph[node_of(graph, "EmptyLatentImage")]["inputs"]["batch_size"] = job.batch
    for unused in [key for key, node in graph.items() if node["class_type"] == "EGPlotTrace"]:
        del graph[unused]
    return graph


def node_of(graph: Graph, kind: str) -> str:
    """Id of the only node of a class."""
    (key,) = [key for key, node in graph.items() if node["class_type"] == kind]
    return key


def _swap_energy(graph: Graph, task: plan.Task) -> None:
    """Replace the example's energy by the task's, taken from the example that has it."""
    name, loader, energy, widget = KINDS[task.network]
    source = _example(name)
    _, old_loader, old_energy, _ = KINDS["clip"]
    load, judge = node_of(graph, old_loader), node_of(graph, old_energy)
    graph[load] = source[node_of(source, loader)]
    graph[judge] = copy.deepcopy(source[node_of(source, energy)])
    graph[judge]["inputs"] |= {widget: task.target, "network": [load, 0]}


def _example(name: str) -> Graph:
    return json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))


def _image(file: bytes) -> Tensor:
    pixels = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 255


def _seconds(stamps: list[tuple[float, int, int]]) -> float:
    """Sampling time of a run from its progress events, without the loading before the first."""
    (begin, first, _), (end, last, total) = stamps[0], stamps[-1]
    return (end - begin) * total / max(last - first, 1)
