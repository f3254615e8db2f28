"""The embedded model's files: a config.json and weights of each part, as diffusers writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import comfy.utils


def file_of(folder: Path, part: str, *names: str) -> Path:
    """The first of these files that is there.

    Raises:
        ValueError: none is.
    """
    found = [path for name in names if (path := folder / part / name).is_file()]
    if not found:
        raise ValueError(
            f"expected {' or '.join(names)} of the embedded model in {folder / part}, got none: "
            "install the pack again, with its assets"
        )
    return found[0]


def config_of(folder: Path, part: str) -> dict[str, Any]:
    """The configuration of a part."""
    return json.loads(file_of(folder, part, "config.json").read_text(encoding="utf-8"))


def weights_of(folder: Path, part: str) -> dict[str, Any]:
    """The weights of a part."""
    file = file_of(folder, part, "diffusion_pytorch_model.safetensors", "model.safetensors")
    return comfy.utils.load_torch_file(str(file), safe_load=True)
