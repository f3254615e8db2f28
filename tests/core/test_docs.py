"""The example of docs/adding-an-energy.md is a working energy."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from guidance_core.gradients import at_estimate
from guidance_core.requirements import requirements_of
from guidance_core.types import Estimate
from tests.core.toys import assert_close, decode, latent, levels

PAGE = Path(__file__).parents[2] / "docs" / "adding-an-energy.md"


def test_the_example_energy_works(monkeypatch):
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    module = ModuleType("guidance_core.energies.brightness")
    module.__package__ = "guidance_core.energies"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(source, vars(module))
    energy = module.Brightness(0.5)
    value, grad = at_estimate(energy, Estimate(latent(), levels(1.0), decode))
    expected = (decode(latent()).flatten(1).mean(1) - 0.5).square()
    assert_close(value, expected)
    assert grad.abs().sum() > 0
    assert requirements_of([energy]).reads_image
    with pytest.raises(ValueError, match="got 2"):
        module.Brightness(2)
