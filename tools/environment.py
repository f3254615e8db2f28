"""Make the virtual environments: this checkout's, and one for each ComfyUI that lacks a package.

    python3 tools/environment.py            makes .venv

Standard library only. uv does the installing where it is on PATH, pip where it is not. An
environment that belongs to a ComfyUI is used when it has everything, and never changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

# Run as a script this file stands alone; imported, it is tools.environment.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosts import CHECKOUT, Host

# The versions that the project's own environments are tested with; a user's torch is left alone.
TORCH = ("torch==2.12.1", "torchvision==0.27.1")
# ComfyUI asks for any torchaudio; 2.11.1 does not load beside this torch.
HOST_TORCH = (*TORCH, "torchaudio==2.11.0")
GROUPS = ("demo", "test", "lint")
# One module for each package that the pack and its tests need, and what tells that ComfyUI can run.
NEEDED = ("open_clip", "kornia", "pytest", "hypothesis", "websocket", "requests", "diffusers")
NEEDED_BY_HOST = ("torch", "torchvision", "torchsde", "transformers", "aiohttp", "av", "alembic")


def own() -> Path:
    """The python of .venv, made or brought up to date first."""
    return _environment(CHECKOUT / ".venv", TORCH, (), None)


def of(host: Host) -> Path:
    """A python that can run this ComfyUI with the pack and its tests."""
    theirs = _complete(host)
    if theirs:
        return theirs
    name = re.sub(r"[^\w.]", "-", host.version)
    folder = CHECKOUT / f".venv-host-{name}"
    return _environment(folder, HOST_TORCH, (host.path / "requirements.txt",), own())


def _complete(host: Host) -> Path | None:
    """The ComfyUI's own python, if nothing is missing from it."""
    for name in (".venv", "venv"):
        for python in (host.path / name / "bin/python", host.path / name / "Scripts/python.exe"):
            if python.is_file() and not _missing(python, host):
                return python
    return None


def _missing(python: Path, host: Host) -> bool:
    modules = (*NEEDED, *NEEDED_BY_HOST)
    look = (
        "import importlib.util as u, sys; sys.exit(any(not u.find_spec(m) for m in sys.argv[1:]))"
    )
    return (
        subprocess.run([python, "-c", look, *modules], check=False, cwd=host.path).returncode != 0
    )


def _environment(
    folder: Path, torch: Sequence[str], requirements: Sequence[Path], base: Path | None
) -> Path:
    """An environment with all it needs, over what that of the python `base` has already."""
    files = (CHECKOUT / "requirements.txt", *requirements)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "installed"
    wanted = _fingerprint(torch, (*files, CHECKOUT / "pyproject.toml"))
    if python.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"Installing into {folder.name} ...", file=sys.stderr, flush=True)
    if not python.is_file():
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    if base:
        _share(base, python)
    arguments = [*torch, *(f"--requirement={file}" for file in files)]
    _install(python, [*arguments, *(f"--group={group}" for group in GROUPS)])
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _share(base: Path, python: Path) -> None:
    """Let one environment find what another has; what it installs itself comes first.

    PyTorch is several GB and the same for every ComfyUI.
    """
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folders = [
        subprocess.run([one, "-c", where], check=True, capture_output=True, text=True).stdout
        for one in (base, python)
    ]
    Path(folders[1].strip(), "base.pth").write_text(folders[0], encoding="utf-8")


def _install(python: Path, arguments: Sequence[str]) -> None:
    uv = shutil.which("uv")
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        # --group came with pip 25.1; a fresh environment has the pip that python was shipped with.
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "--upgrade", "pip>=25.1"], check=True, cwd=CHECKOUT)
    done = subprocess.run([*command, *arguments], check=False, cwd=CHECKOUT)
    if done.returncode != 0:
        sys.exit(f"installing failed: run it again to see it whole:\n{' '.join(command)} ...")


def _fingerprint(torch: Sequence[str], files: Sequence[Path]) -> str:
    text = "\0".join([sys.version, *torch, *(file.read_text(encoding="utf-8") for file in files)])
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    print(own())
