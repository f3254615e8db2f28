"""Resumable training state: one file per network, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


def save(path: Path, step: int, **parts: nn.Module | torch.optim.Optimizer) -> None:
    """Write `step` and the state of every part to `path`, replacing it only once complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    torch.save({"step": step} | {k: v.state_dict() for k, v in parts.items()}, temporary)
    temporary.replace(path)


def resume(path: Path, **parts: nn.Module | torch.optim.Optimizer) -> int:
    """Load every part from `path` and return the step to continue from; 0 when there is none."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["step"]
