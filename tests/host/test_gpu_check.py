"""The check for GPUs measures what it says, tried on small networks and this machine's CPU."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import torch
from energy_guidance.tests.host import conftest, families

from bench.gpu_check import inside, page
from bench.gpu_check.cases import CASES

pytestmark = pytest.mark.once

KEYS = [case.key for case in CASES]
ROUNDED = 3e-2


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_PATH", str(conftest.HOST))


def of(key: str):
    (case,) = (case for case in CASES if case.key == key)
    if case.family not in families.FAMILIES:
        pytest.skip(f"this ComfyUI has no {case.title}")
    return case


def measured(key: str, dtype: str, folder: Path) -> dict:
    results: dict = {}
    options = Namespace(tiny=True, file=folder / "job.json", mode="dynamic VRAM off")
    inside._measure(of(key), dtype, options, results, lambda: None)
    return results


@pytest.mark.parametrize("key", KEYS)
def test_a_case_measures_time_memory_and_its_gradient_offloaded(key: str, tmp_path: Path) -> None:
    found = measured(key, "bf16", tmp_path)
    assert found["plain_s"] > 0
    assert found["ratio"] > 0
    assert found["gradient_norm"] > 0
    assert {"plain_peak_mb", "guided_peak_mb"} <= found.keys()
    assert found["offloaded_loaded_gb"] < found["loaded_gb"] / 2
    # On some CPUs kernels of bfloat16 round in another order the second time.
    assert found["offloaded_difference"] <= ROUNDED
    assert torch.load(tmp_path / "job.bf16.pt", weights_only=True).any()


@pytest.mark.parametrize("key", KEYS)
def test_the_gradient_offloaded_is_the_same_but_for_rounding(key: str, tmp_path: Path) -> None:
    found = measured(key, "float32", tmp_path)
    assert found["offloaded_loaded_gb"] < found["loaded_gb"] / 2
    assert found["offloaded_difference"] <= page.LIMIT


def test_weights_in_fp8_are_measured_too(tmp_path: Path) -> None:
    found = measured("sdxl", "fp8", tmp_path)
    assert found["ratio"] > 0
    assert found["offloaded_difference"] <= page.LIMIT


@pytest.mark.parametrize("key", KEYS)
def test_the_true_sizes_are_those_of_the_published_models(key: str) -> None:
    case = of(key)
    family = inside._family(case, tiny=False)
    assert inside._count(family, torch.bfloat16) == case.weights


def test_a_model_that_no_memory_holds_says_how_much_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = Namespace(available=2**20)
    monkeypatch.setattr(inside.psutil, "virtual_memory", lambda: free)
    with pytest.raises(ValueError, match=r"expected \d+ GB of free RAM"):
        inside._model(inside._family(of("flux1"), tiny=False), torch.bfloat16)
