"""The public names: their example works, and importing them loads nothing heavy."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import guidance_core

ROOT = Path(__file__).parents[2]
HEAVY = ("kornia", "open_clip", "timm", "torchvision", "safetensors", "diffusers", "transformers")


def test_the_example_gives_what_it_says():
    result = doctest.testmod(guidance_core)
    assert result.attempted >= 7
    assert result.failed == 0


def test_every_public_name_is_there_and_documented():
    for name in guidance_core.__all__:
        assert getattr(guidance_core, name).__doc__


def test_importing_the_core_loads_no_heavy_package():
    code = f"import sys, guidance_core; print(*({set(HEAVY)!r} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
