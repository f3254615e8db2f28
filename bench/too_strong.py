"""Measure from which size of step on guidance spoils images, for the monitor's warning.

    python -m bench.too_strong

Samples Shapes under several energies at rising strengths, and counts with the oracle how
many images are still clean: whole objects of pure colours and nothing else. The size of a step is
told as the monitor sees it: its RMS over the posterior standard deviation of x0, which in the scale
`relative` is the strength. Resumes where out/bench/too_strong.json ends; docs/widgets.md has the
numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from guidance_core.attention.words import Word
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.clip_text import ClipText
from guidance_core.energies.position import Position
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle
from tools.diffusers_host import Settings, Shapes, guide_network, load, sample

OUT = Path("out/bench/too_strong.json")
STRENGTHS = (0.0, 0.5, 1.0, 2.0)
ENDS = (1.0,)
IMAGES, STEPS = 16, 15
CAPTION, PLACE = "a big red circle", (0.7, 0.3)


@dataclass(frozen=True)
class Case:
    """What is asked, at which CFG."""

    name: str
    cfg: float
    prompt: str
    energy: Callable[[Shapes], Any]


def _label(name: str, model: Shapes) -> ClassLabel:
    return ClassLabel(guide_network("classifier", model.device), name)


def _sentence(model: Shapes) -> ClipText:
    return ClipText(guide_network("open_clip", model.device), CAPTION)


CASES = (
    Case("label, CFG 1", 1.0, "", partial(_label, "red")),
    Case("label, CFG 4", 4.0, CAPTION, partial(_label, "circle")),
    Case("sentence, CFG 1", 1.0, "", _sentence),
    Case("place, CFG 4", 4.0, CAPTION, lambda model: Position((Word("red", (3,)),), PLACE)),
)


def measured(model: Shapes, case: Case, strength: float, end: float) -> dict[str, list[Any]]:
    """Of each image: whether it is clean, and its steps' noise levels and sizes."""
    rows: list[tuple[float, list[float]]] = []

    def note(record: Any) -> None:
        rows.append((record.sigma, (record.push / record.spread).tolist()))

    rules = [Forward(case.energy(model), PercentWindow(0.0, end, value=strength))]
    settings = Settings(seed=5, batch=IMAGES, steps=STEPS, cfg=case.cfg, eta=1.0)
    latents = sample(model, rules if strength else [], settings, positive=case.prompt, record=note)
    verdicts = oracle.judge(model.images(latents))
    return {
        "clean": [verdict.clean for verdict in verdicts],
        "sigmas": [sigma for sigma, _ in rows],
        "sizes": [sizes for _, sizes in rows],
    }


def main() -> None:
    """Measure what is missing."""
    found = json.loads(OUT.read_text(encoding="utf-8")) if OUT.is_file() else {}
    model = load()
    for end in ENDS:
        for strength in STRENGTHS:
            for case in CASES:
                key = f"{case.name}, until {end:g}, {strength:g}"
                if key in found or (strength == 0 and end < 1):
                    continue
                found[key] = measured(model, case, strength, end)
                OUT.parent.mkdir(parents=True, exist_ok=True)
                OUT.write_text(json.dumps(found), encoding="utf-8")
                print(key, sum(found[key]["clean"]), "of", IMAGES, flush=True)


if __name__ == "__main__":
    main()
