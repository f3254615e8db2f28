"""Find the ComfyUI installations that the demo runs in and the host tests run against.

Standard library only: this runs before any environment exists.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parents[1]
PINNED = "v0.29.0"
OFFICIAL = "https://github.com/Comfy-Org/ComfyUI"
# The oldest is the last.
DEFAULTS = ("~/comfy/ComfyUI", "~/comfy/ComfyUI-0.33", "~/comfy/ComfyUI-0.3.64")


class Host(NamedTuple):
    """One ComfyUI installation."""

    path: Path
    version: str


def find() -> list[Host]:
    """Every ComfyUI found, the preferred one first.

    COMFYUI_PATH (several are separated as in PATH) wins; else the ComfyUI that this checkout lies
    in; else comfy-cli's default workspace and its neighbours of the newest and the oldest version.

    Raises:
        ValueError: COMFYUI_PATH names a folder that is no ComfyUI.
    """
    named = os.environ.get("COMFYUI_PATH", "")
    if named:
        return [_named(Path(part).expanduser()) for part in named.split(os.pathsep) if part]
    around = [folder for folder in CHECKOUT.parents if is_comfyui(folder)][:1]
    folders = around or [Path(default).expanduser() for default in DEFAULTS]
    return [Host(folder, version(folder)) for folder in folders if is_comfyui(folder)]


def is_comfyui(folder: Path) -> bool:
    """Whether a folder holds ComfyUI's sources."""
    return (folder / "main.py").is_file() and (folder / "comfy" / "samplers.py").is_file()


def version(folder: Path) -> str:
    """The version that ComfyUI says of itself, read without importing it."""
    for name in ("comfyui_version.py", "pyproject.toml"):
        file = folder / name
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        found = re.search(r'^(?:__version__|version)\s*=\s*"([^"]+)"', text, re.MULTILINE)
        if found:
            return found[1]
    return "unknown"


def clone() -> Host | None:
    """A shallow clone of the pinned release under out/, or None where it is not available."""
    folder = CHECKOUT / "out" / f"ComfyUI-{PINNED}"
    if not is_comfyui(folder):
        folder.parent.mkdir(exist_ok=True)
        command = ["git", "clone", "--quiet", "--depth", "1", "--branch", PINNED]
        try:
            # No prompt for a user name: a network without GitHub should fail, not wait.
            done = subprocess.run(
                [*command, OFFICIAL, str(folder)],
                env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            return None
        if done.returncode != 0:
            return None
    return Host(folder, version(folder))


def _named(folder: Path) -> Host:
    if not is_comfyui(folder):
        raise ValueError(
            f"COMFYUI_PATH names {folder}, which is no ComfyUI: name the folder with its main.py,"
            " or unset COMFYUI_PATH"
        )
    return Host(folder.resolve(), version(folder))
