"""Resumable training state: one file, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn


def save(path: Path, **parts: Any) -> None:
    """Write the state of every part to `path`, replacing it only once complete.

    Arguments:
        path: of the file; its folder is made.
        parts: networks and optimisers, or plain numbers and lists of them, by name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".writing")
    state = {k: v.state_dict() if hasattr(v, "state_dict") else v for k, v in parts.items()}
    torch.save(state, temporary)
    temporary.replace(path)


def resume(path: Path, **parts: nn.Module | torch.optim.Optimizer) -> dict[str, Any]:
    """Load every part from `path`, and return what else was written; nothing if there is no file.

    Arguments:
        path: of the file.
        parts: networks and optimisers, by the names that they were saved under.
    """
    if not path.is_file():
        return {}
    state = torch.load(path, weights_only=True, map_location="cpu")
    for name, part in parts.items():
        part.load_state_dict(state.pop(name))
    return dict(state)
