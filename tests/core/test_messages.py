"""Messages are sentences: sizes are written "4 x 16 x 16", and nothing as Python shows it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from guidance_core.attention.references import _like
from guidance_core.energies.color import MeanColor
from guidance_core.energies.detection import Detection
from guidance_core.energies.image import ReferenceImage
from guidance_core.energies.masked import Masked
from guidance_core.energies.measurement import Measurement
from guidance_core.energies.palette import Palette
from guidance_core.image.degradations import Hide
from guidance_core.networks import aesthetic, weights
from guidance_core.process import lengths
from guidance_core.shapes import oracle
from tests.core.toys import TinyDetector

ROOT = Path(__file__).parents[2]


def no_predictor(folder: Path) -> Path:
    path = folder / "wide.pt"
    torch.save({"weight": torch.zeros(2, 5), "bias": torch.zeros(2)}, path)
    return path


FAULTS = {
    "measured": (lambda _: Measurement(torch.zeros(3, 8, 6)), "got 3 x 8 x 6"),
    "mask": (lambda _: Masked(MeanColor(torch.zeros(3)), torch.ones(7)), "got 7"),
    "missing": (lambda _: Hide(torch.ones(1, 1, 4, 5)), "got 1 x 1 x 4 x 5"),
    "boxes": (
        lambda _: Detection(TinyDetector(), torch.zeros(2, 4), ("circle",)),
        "boxes of 2 x 4",
    ),
    "box": (
        lambda _: Detection(TinyDetector(), torch.tensor([[0.5, 0.1, 0.25, 1]]), ("circle",)),
        "got 0.5 0.1 0.25 1",
    ),
    "palette": (lambda _: Palette(torch.zeros(0, 3)), "got 0 x 3"),
    "colour": (lambda _: MeanColor(torch.tensor([2.0, 0.5, 0])), "got 2, 0.5, 0"),
    "reference": (lambda _: ReferenceImage(torch.zeros(8, 8, 3)), "got 8 x 8 x 3"),
    "recorded": (
        lambda _: _like(torch.zeros(1, 4, 6), torch.zeros(2, 4, 8)),
        "holds values of 4 x 6, this run has 4 x 8",
    ),
    "judged": (lambda _: oracle.judge(torch.zeros(1, 3, 64, 64)), "got 1 x 3 x 64 x 64"),
    "predictor": (lambda folder: aesthetic.load(no_predictor(folder)), "got 2 x 5"),
    "weights": (
        lambda _: weights.fill(nn.Linear(2, 1), nn.Linear(3, 1).state_dict(), "wide.pt"),
        "weight is 1 x 3, not 1 x 2",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_sizes_in_messages_are_written_out(name: str, tmp_path: Path):
    fault, words = FAULTS[name]
    with pytest.raises(ValueError, match=words):
        fault(tmp_path)


def test_a_single_number_has_no_lengths():
    assert lengths(torch.tensor(1.0)) == "a single number"


def shown(source: str) -> Iterator[str]:
    """What messages of the source show: expressions inside the f-strings of its errors."""
    for error in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise)):
        for part in ast.walk(error):
            if isinstance(part, ast.FormattedValue):
                yield ast.unparse(part.value)


def is_raw(expression: str) -> bool:
    return expression.startswith(("tuple(", "list(", "[", "{")) or expression.endswith(
        (".shape", ".tolist()")
    )


def test_errors_show_no_tuples_or_lists():
    paths = [path for room in ("guidance_core", "nodes") for path in (ROOT / room).rglob("*.py")]
    raw = [
        (path.relative_to(ROOT), expression)
        for path in paths
        for expression in shown(path.read_text(encoding="utf-8"))
        if is_raw(expression)
    ]
    assert not raw
