"""Tiny models of the families that the host knows, with random weights: one file a group."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from energy_guidance.nodes.host import guide
from energy_guidance.tests.host import probe, tiny
from energy_guidance.tests.host.families import (
    audio,
    cascade,
    cross_attention,
    flux,
    lumina,
    mmdit,
    pixels,
    unets,
    video,
    wan,
)
from energy_guidance.tests.host.families.family import draw
from energy_guidance.tools.hosts import PINNED

__all__ = ["ALL", "FAMILIES", "draw", "model", "once", "slope"]
GROUPS = (unets, cascade, mmdit, flux, lumina, cross_attention, wan, video, pixels, audio)
ALL = {name: family for group in GROUPS for name, family in group.FAMILIES.items()}
FAMILIES = {name: family for name, family in ALL.items() if family.is_known}
# Known to the host that every test runs on, by what was asked there; a family that is in no result
# yet is run by all.
RESULTS = Path(__file__).parents[3] / "bench" / "results" / "families.json"
FIRST = json.loads(RESULTS.read_text(encoding="utf-8"))["hosts"][PINNED.removeprefix("v")]


def once(names: Iterable[str]) -> list[Any]:
    """Parameters of a test that further hosts need not repeat, but for families of their own."""
    return [pytest.param(n, marks=pytest.mark.once if n in FIRST else ()) for n in names]


@functools.cache
def model(family: str) -> Any:
    """The MODEL of a family, made once; for tests that leave it as it is."""
    return FAMILIES[family].model()


def slope(model: Any, family: str) -> torch.Tensor:
    """The gradient through a model in the middle of three steps, which agrees with differences."""
    records: list[Any] = []
    with torch.inference_mode():
        guided = guide.apply(model, [probe.Slopes(step=0.1)], trace=records.append)
        tiny.sample(guided, steps=3, cfg=1.0, **FAMILIES[family].options())
    probe.agree(records[1])
    return records[1].terms["grad"]
