"""Finished batches in a file, so that a benchmark that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

WEIGHTS = Path(__file__).resolve().parents[1] / "assets" / "shapes"

MODEL = ("text_encoder", "unet", "vae")
# What labels and sentences are guided by; other guides may change.
GUIDED = (*MODEL, "classifier.safetensors", "open_clip.safetensors")


def fingerprint(*parts: str) -> str:
    """Eight characters that change with these weights (folders, files) of Shapes, or with any."""
    paths = [WEIGHTS / part for part in parts] or [WEIGHTS]
    found = {file for path in paths for file in path.rglob("*.safetensors")}
    files = sorted(found | {path for path in paths if path.is_file()})
    digest = hashlib.sha256(b"".join(hashlib.sha256(f.read_bytes()).digest() for f in files))
    return digest.hexdigest()[:8]


def taking_part(networks: Iterable[str]) -> str:
    """The fingerprint of the model and of these guide networks, such as "classifier"."""
    return fingerprint(*MODEL, *(f"{name}.safetensors" for name in networks))


def read(path: Path) -> list[dict[str, Any]]:
    """Finished batches."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write finished batches, one a line; the file is always whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    lines = ",\n".join(json.dumps(row) for row in rows)
    half.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    half.replace(path)
