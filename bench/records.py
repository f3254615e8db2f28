"""Finished batches in a file, so that a benchmark that was stopped continues where it was."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

WEIGHTS = Path(__file__).resolve().parents[1] / "assets" / "shapes"
Row = dict[str, Any]

MODEL = ("text_encoder", "unet", "vae")


def fingerprint(*parts: str) -> str:
    """Eight characters that change with these weights (folders, files) of Shapes, or with any."""
    paths = [WEIGHTS / part for part in parts] or [WEIGHTS]
    found = {file for path in paths for file in path.rglob("*.safetensors")}
    files = sorted(found | {path for path in paths if path.is_file()})
    digest = hashlib.sha256(b"".join(hashlib.sha256(f.read_bytes()).digest() for f in files))
    return digest.hexdigest()[:8]


def fingerprint_with(networks: Iterable[str]) -> str:
    """The fingerprint of the model and of these guide networks, such as "classifier"."""
    return fingerprint(*MODEL, *(f"{name}.safetensors" for name in networks))


def read(path: Path, known: Iterable[Mapping[str, Any]] = ({},)) -> list[Row]:
    """Finished batches; those that agree with any of `known` in all that it says."""
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    wanted = list(known)
    return [row for row in rows if any(one.items() <= row.items() for one in wanted)]


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write finished batches, one per line; the file is always whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    lines = ",\n".join(json.dumps(row) for row in rows)
    half.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    half.replace(path)


def complete(
    path: Path, rows: list[Row], jobs: Sequence[Row], measure: Callable[[Row], Mapping[str, Any]]
) -> None:
    """Measure the jobs that no row is of yet, and write all rows after each.

    Arguments:
        path: file of the rows.
        rows: finished batches; new ones are appended.
        jobs: what tells a batch from the others, the start of its row.
        measure: the rest of a job's row.
    """
    for job in (bar := tqdm(jobs, disable=not sys.stderr.isatty())):
        if any(job.items() <= row.items() for row in rows):
            continue
        bar.set_description(", ".join(str(job[name]) for name in ("task", "method") if name in job))
        rows.append({**job, **measure(job)})
        write(path, rows)
