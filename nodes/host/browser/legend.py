"""The words of the monitor in English, for plots; the browser has them in other languages too."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

ENGLISH = Path(__file__).resolve().parents[3] / "locales" / "en" / "main.json"


@cache
def _monitor() -> dict[str, Any]:
    texts = json.loads(ENGLISH.read_text(encoding="utf-8"))
    found: dict[str, Any] = texts["energyGuidance"]["monitor"]
    return found


def text(name: str) -> str:
    """What the monitor says, by the name of the message."""
    return str(_monitor()[name])


def called(term: str) -> str:
    """A term of a trace in words: "ClassLabel red" is "label: red"."""
    return " + ".join(map(_one, term.split(" + ")))


def _one(name: str) -> str:
    kind, _, asked = name.partition(" ")
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
    return ": ".join(filter(None, [_monitor()["energies"].get(kind, spaced), asked]))
