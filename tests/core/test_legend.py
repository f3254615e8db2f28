"""Energies have names in words, the same under curves in the browser and in plots."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# They hold other energies, and are called by those.
WRAPPERS = {"Frames", "Masked", "Scheduled", "Smoothed", "WeightedSum"}
# Rules follow them in place of the energy whose root they are; it gives the name.
ROOTS = {"GramNorm", "ResidualNorm"}


def energies() -> set[str]:
    """Classes of the core that are called with an estimate."""
    found = set()
    for file in (ROOT / "guidance_core" / "energies").glob("*.py"):
        for part in ast.parse(file.read_text(encoding="utf-8")).body:
            body = part.body if isinstance(part, ast.ClassDef) else []
            calls = [one for one in body if isinstance(one, ast.FunctionDef)]
            if any(
                call.name == "__call__"
                and [arg.arg for arg in call.args.args] == ["self", "estimate"]
                for call in calls
            ):
                found.add(part.name)
    return found - WRAPPERS - ROOTS


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_energy_has_a_name_in_words(language: str) -> None:
    file = ROOT / "locales" / language / "main.json"
    monitor = json.loads(file.read_text(encoding="utf-8"))["energyGuidance"]["monitor"]
    assert set(monitor["energies"]) == energies()


def test_nodes_that_note_something_have_a_place_for_it() -> None:
    """web/note.js names the classes of the modules that call note()."""
    noting = set()
    for file in (ROOT / "nodes").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if "browser.note import note" in text:
            noting.add(text.split('schema(\n            "')[1].split('"')[0])
    names = (ROOT / "web" / "note.js").read_text(encoding="utf-8").split("NODES = [")[1]
    assert set(re.findall(r'"(\w+)"', names.split("]")[0])) == noting
