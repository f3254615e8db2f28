"""Stable Cascade, both stages."""

from __future__ import annotations

import torch
from energy_guidance.tests.host.families.family import Family, draw

C = {
    "stable_cascade_stage": "c",
    "c_cond": 32,
    "c_hidden": [32, 32],
    "nhead": [2, 2],
    "blocks": [[1, 1], [1, 1]],
    "c_clip_text": 32,
    "c_clip_text_pooled": 32,
}
B = {
    "stable_cascade_stage": "b",
    "c_cond": 32,
    "c_hidden": [16, 32, 32, 32],
    "nhead": [-1, -1, 2, 2],
    "blocks": [[1, 1, 1, 1], [1, 1, 1, 1]],
    "block_repeat": [[1, 1, 1, 1], [1, 1, 1, 1]],
    "c_clip": 32,
    "c_effnet": 16,
}


def _pooled(seed):
    return {"pooled_output": torch.ones(1, 1, 32)}


FAMILIES = {
    "Stable Cascade C": Family(
        *("Stable_Cascade_C", "StableCascade_C", C, (16, 8, 8)), conds=_pooled, wide=(16, 8, 12)
    ),
    "Stable Cascade B": Family(
        *("Stable_Cascade_B", "StableCascade_B", B, (4, 32, 32)),
        conds=lambda seed: {**_pooled(seed), "stable_cascade_prior": draw(3, 1, 16, 3, 3)},
        wide=(4, 32, 48),
    ),
}
