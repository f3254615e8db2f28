"""Scenes that no training has shown: each seed draws its own."""

from __future__ import annotations

import torch

from guidance_core.shapes.scenes import Scene, random_scene


def scenes_from(seed: int, count: int, objects: int | None = None) -> list[Scene]:
    """Scenes of the seeds from `seed` on; `objects` in each, at random where None."""
    seeds = range(seed, seed + count)
    return [random_scene(torch.Generator().manual_seed(one), objects) for one in seeds]
