"""The check for GPUs keeps to its time, and takes what fails for what it is."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import torch

from bench.gpu_check import __main__ as check
from bench.gpu_check import page
from bench.gpu_check.cases import CASES, MODES, jobs
from tools.hosts import Host

DONE = {"plain_s": 0.5, "guided_s": 1.0, "ratio": 2.0, "plain_peak_mb": 10, "guided_peak_mb": 30}


def row(tmp_path: Path, script: str, limit: float = 20.0) -> dict:
    """What becomes of a job that runs a script in place of the module inside ComfyUI."""
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport sys, time, pathlib\n{script}\n")
    python.chmod(0o755)
    host = Host(tmp_path, "0.0.0")
    return check._row(python, host, CASES[0], MODES[0], tmp_path, limit, [])


def test_a_job_that_ends_badly_keeps_its_last_words_and_what_it_wrote(tmp_path):
    write = 'pathlib.Path(sys.argv[5]).write_text(\'{"device": "X"}\')'
    found = row(tmp_path, f"{write}\nraise RuntimeError('no room')")
    assert found["device"] == "X"
    assert found["error"] == "RuntimeError: no room"


def test_a_job_that_takes_too_long_is_stopped(tmp_path):
    found = row(tmp_path, "time.sleep(60)", limit=1.0)
    assert found["error"] == "stopped after 1 s"
    assert found["seconds"] < 20


def test_when_no_time_is_left_the_rest_is_named_and_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(check.hosts, "find", lambda: [Host(tmp_path, "0.0.0")])
    ran = []
    monkeypatch.setattr(check, "_row", lambda *given: ran.append(given) or {})
    options = check.options_of(["--seconds", str(check.LEAST - 1)])
    rows = check.measured(Namespace(**{**vars(options), "python": Path(sys.executable)}))
    assert not ran
    assert len(rows) == len(CASES) * len(MODES)
    assert {found["error"] for found in rows if found["mode"] == MODES[0]} == {"no time was left"}


def test_kernels_that_are_not_installed_are_not_tried():
    seen = [{"installed": {"sage attention": True, "flash attention": False}}]
    assert check._absent("sage attention", seen) == ""
    assert check._absent("flash attention", seen) == "flash_attn is not installed"


def test_what_one_case_cannot_have_here_no_other_case_tries():
    mode = "dynamic VRAM on"
    error = "expected a GPU for dynamic VRAM, got none: leave this mode out"
    assert check._absent(mode, [{"mode": mode, "error": error}]) == error
    assert check._absent(mode, [{"mode": "dynamic VRAM off", "error": error}]) == ""
    assert check._absent(mode, [{"mode": mode, "error": "stopped after 150 s"}]) == ""


def test_every_case_comes_in_one_mode_before_the_next():
    order = [(case.key, mode) for case, mode in jobs(["sd15", "sdxl"], MODES[:2])]
    assert order == [(key, mode) for mode in MODES[:2] for key in ("sd15", "sdxl")]


def test_gradients_of_two_modes_are_compared(tmp_path):
    for mode, factor in ((MODES[0], 1.0), (MODES[1], 1.01)):
        file = (tmp_path / page.file_of("sd15", mode)).with_suffix(".bf16.pt")
        torch.save(factor * torch.ones(4), file)
    rows = [{"case": "sd15", "mode": mode, "weights": {"bf16": {**DONE}}} for mode in MODES[:2]]
    page.compare(rows, tmp_path)
    assert "mode_difference" not in rows[0]["weights"]["bf16"]
    assert abs(rows[1]["weights"]["bf16"]["mode_difference"] - 0.01) < 1e-6
    assert "**1e-02** (limit 1e-03)" in page.table(rows)[3]


def test_the_table_has_a_row_for_what_failed_and_the_page_keeps_the_rest(tmp_path):
    half = {"error": "OutOfMemoryError: no room"}
    rows = [
        {"case": "sd15", "mode": MODES[0], "device": "X", "torch": "2", "host": "1",
         "weights": {"bf16": {**DONE, "offloaded_difference": 0.0}, "fp8": half}},
        {"case": "sdxl", "mode": MODES[1], "error": "no time was left"},
    ]  # fmt: skip
    file = tmp_path / "cost.md"
    file.write_text("before\n<!-- gpu -->\nold\n<!-- end of gpu -->\nafter\n")
    page.write(file, json.loads(json.dumps(rows)))
    text = file.read_text()
    for part in ("before", "after", "Measured on X", "| 2.00 |", half["error"], "no time was left"):
        assert part in text
    assert "old" not in text
