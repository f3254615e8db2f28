"""Run the host tests inside a real ComfyUI, with models small enough for seconds on a CPU."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOST = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
PACK = "energy_guidance"


def _missing() -> str | None:
    """Why the host cannot be used, if it cannot."""
    if not (HOST / "comfy" / "samplers.py").is_file():
        return f"no ComfyUI in {HOST}: set COMFYUI_PATH"
    return None


def _start_host() -> None:
    """Import ComfyUI's core without its server, on the CPU."""
    sys.path.insert(0, str(HOST))
    argv, sys.argv = sys.argv, ["main.py", "--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()
    # As main.py does: later on, comfy/utils.py would take this name.
    importlib.import_module("utils.extra_config")
    import comfy.samplers
    import torch

    # The models are so small that several threads only wait for each other.
    torch.set_num_threads(1)
    sys.argv = argv


def _register_pack() -> None:
    """Make the checkout importable as a package: the host itself owns the name `nodes`."""
    pack = types.ModuleType(PACK)
    pack.__path__ = [str(ROOT)]
    sys.modules[PACK] = pack


def pytest_configure(config: pytest.Config) -> None:
    reason = _missing()
    if reason is None:
        _start_host()
        _register_pack()
    elif os.environ.get("CI"):
        pytest.exit(f"CI is set, but there is {reason}", returncode=1)


collect_ignore_glob = ["test_*.py"] if _missing() else []


def pytest_report_header() -> str:
    reason = _missing()
    return f"host tests skipped: {reason}" if reason else f"host: {HOST}"


def pytest_terminal_summary(terminalreporter) -> None:
    reason = _missing()
    if reason:
        terminalreporter.write_line(f"host tests skipped: {reason}")


@pytest.fixture(autouse=True)
def frozen():
    """What stands before a test is not searched again for garbage.

    ComfyUI collects garbage before a run wherever a MODEL is gone and its model is not, and tests
    keep their small models. Among the millions of objects of a whole run of tests that takes 0.5 s
    each time, of a test that takes 0.1 s.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded():
    """Numbers that a test draws without a generator are those of every run."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A real server of this host with the checkout as its only custom node, one for all tests."""
    from energy_guidance.tests.host.server import running

    with running(HOST, tmp_path_factory.mktemp("comfyui") / "base") as started:
        yield started


@pytest.fixture(scope="session")
def nodes(server):
    """The pack's part of /object_info."""
    everything = server.get("/object_info").json()
    return {name: node for name, node in everything.items() if name.startswith("EG")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take the host's own warnings as they come; those of the pack stay errors."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))
            item.add_marker(pytest.mark.filterwarnings(rf"error:::{PACK}\..*"))
