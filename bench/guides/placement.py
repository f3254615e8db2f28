"""Objects of the prompt, put where a map or a box says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torchvision.ops import box_iou

from bench.guides.task import Ask, Asked, Figures, foreground, overlap, scenes_of
from guidance_core.attention.words import Word
from guidance_core.energies.box import Box
from guidance_core.energies.detection import Detection
from guidance_core.energies.segmentation import Segmentation
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.scenes import SIDE, Item
from guidance_core.types import Energy, Rule
from tools.diffusers_host import Shapes, guide_network

PLACING = PercentWindow(0.0, 0.9, "linear_down", 2.0)
DETECTING = PercentWindow(0.0, 0.9, "linear_down", 1.5)
LOOKING = PercentWindow(0.0, 0.6, "linear_down", 2.5)
COLOUR_PLACE = 3  # in the context of "a big red circle", after the start token


def rules_placing(energy: Energy) -> list[Rule]:
    """Hard at first, when places are decided, then ever more gently."""
    return [Forward(energy, PLACING)]


def segmented(model: Shapes, seed: int, batch: int) -> Asked:
    """One object named by the prompt, where a map of each image's own says."""
    drawn = scenes_of(seed, batch, count=1)
    areas = torch.stack([scenes.inside(scene.items[0]) for scene in drawn])
    guide = guide_network("segmenter", model.device)
    numbers = [guide.pixel_labels.index(scene.items[0].shape) for scene in drawn]
    classes = areas * torch.tensor(numbers).view(-1, 1, 1)

    def figures_of(images: Tensor) -> Figures:
        return {"IoU": overlap(foreground(images), areas)}

    energy = Segmentation(guide, classes.to(model.device))
    return Asked(rules_placing(energy), figures_of, prompts=[scene.caption() for scene in drawn])


def detected(attention: bool) -> Ask:
    """One object named by the prompt, in a box; the same for the batch.

    With `attention` its colour must look there too, which decides the place before a detector can.
    """

    def asked(model: Shapes, seed: int, batch: int) -> Asked:
        (scene,) = scenes_of(seed, 1, count=1)
        (item,) = scene.items
        guide = guide_network("detector", model.device)

        def figures_of(images: Tensor) -> Figures:
            best = [best_overlap(item, verdict.items) for verdict in oracle.judge(images)]
            return {"box IoU": torch.tensor(best)}

        box = torch.tensor([item.box]) / SIDE
        detection = Detection(guide, box, (item.shape,))
        if not attention:
            return Asked(rules_placing(detection), figures_of, prompts=scene.caption())
        looking = Box((Word(item.colour, (COLOUR_PLACE,)),), tuple(box[0].tolist()))
        rules = [Forward(looking, LOOKING), Forward(detection, DETECTING)]
        return Asked(rules, figures_of, prompts=scene.caption())

    return asked


def best_overlap(item: Item, seen: Sequence[Item]) -> float:
    """Highest intersection over union with the box of an object of the same shape; 0 without."""
    boxes = [other.box for other in seen if other.shape == item.shape]
    exact = partial(torch.tensor, dtype=torch.float64)
    return float(box_iou(exact([item.box]), exact(boxes)).max()) if boxes else 0.0


def held(before: Figures, after: Figures) -> bool:
    return bool((after["box IoU"] >= 0.5).float().mean() >= 0.75)
