"""Drive the pack's widgets in a real browser on a real ComfyUI."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

HOST = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# One process less, and nothing that asks the network for anything.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A fresh profile shows a tour of templates, which would cover the canvas.
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False}


def _chromium() -> str | None:
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


def _missing() -> str | None:
    """Why no browser can be driven, if none can."""
    if not (HOST / "comfy" / "samplers.py").is_file():
        return f"no ComfyUI in {HOST}: set COMFYUI_PATH"
    if _chromium() is None:
        return "no Chromium on PATH: install chromium, or set CHROMIUM to its file"
    return None


def pytest_configure(config: pytest.Config) -> None:
    reason = _missing()
    if reason and os.environ.get("CI"):
        pytest.exit(f"CI is set, but there is {reason}", returncode=1)


collect_ignore_glob = ["test_*.py"] if _missing() else []


def pytest_terminal_summary(terminalreporter) -> None:
    if reason := _missing():
        terminalreporter.write_line(f"browser tests skipped: {reason}")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A ComfyUI with the checkout as its only custom node."""
    from tests.host.server import running

    base = tmp_path_factory.mktemp("comfyui") / "base"
    profile = base / "user" / "default"
    profile.mkdir(parents=True)
    (profile / "comfy.settings.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    with running(HOST, base, os.environ.get("COMFYUI_PYTHON", sys.executable)) as started:
        yield started


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=_chromium(), args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def opened(server, chromium):
    """One window for all tests: to load ComfyUI takes longer than most of them."""
    from tests.web.desk import Desk

    desk = Desk(chromium.new_page(viewport={"width": 1366, "height": 768}), server)
    assert not desk.complaints
    return desk


@pytest.fixture
def desk(opened):
    """The window with an empty canvas; at the end, nothing may have been complained about."""
    opened.clear()
    yield opened
    assert not opened.complaints
