"""A copy of the checkout with the energy of docs/adding-an-energy.md added to it.

For tests of what a new energy needs: it is added by the page alone, and by no other edit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs" / "adding-an-energy.md"
CORE, NODE = "guidance_core/energies/spread.py", "nodes/energies/spread.py"
TESTS, README = "tests/core/test_energies.py", "README.md"
FOUR = {CORE, NODE, TESTS, README}
LEFT_OUT = (".*", "out", "__pycache__", "node_modules")


def reason_to_skip() -> str | None:
    """Why the energy cannot be added to a copy, if it cannot."""
    if not shutil.which("git"):
        return "needs git"
    return f"this checkout has {CORE} already" if (CHECKOUT / CORE).exists() else None


def with_stubs(folder: Path) -> Path:
    """A copy of the checkout in a folder, with the stubs of the energy."""
    copy = copied(folder)
    done = run(copy, "-m", "tools.new_energy", "spread")
    assert done.returncode == 0, done.stderr
    return copy


def copied(folder: Path) -> Path:
    """The checkout in a folder, committed to a repository of its own."""
    copy = folder / "checkout"
    shutil.copytree(CHECKOUT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in (".gitignore", ".comfyignore"):
        shutil.copy(CHECKOUT / name, copy)
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    git(copy, "init", "-q")
    git(copy, "add", "-A")
    git(copy, *author, "commit", "-qm", "checkout", "--no-gpg-sign", "--no-verify")
    return copy


def run(copy: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy, as in a checkout."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command,
        cwd=copy,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def touched(copy: Path) -> set[str]:
    """What `git status` lists."""
    listed = git(copy, "status", "--short", "--untracked-files=all")
    return {line[3:] for line in listed.splitlines()}


def git(copy: Path, *arguments: str) -> str:
    """What a git command prints."""
    command = [shutil.which("git") or "git", *arguments]
    done = subprocess.run(command, cwd=copy, check=True, capture_output=True, text=True)
    return done.stdout


def filled_in(copy: Path) -> None:
    """Put what the page shows in the place of the stubs."""
    core, test, node, row = re.findall(
        r"```(?:python|markdown)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    (copy / CORE).write_text(core, encoding="utf-8")
    (copy / NODE).write_text(node, encoding="utf-8")
    stub = re.compile(r"^def test_spread_.*\Z", re.MULTILINE | re.DOTALL)
    replace(copy / TESTS, stub, test)
    replace(copy / README, re.compile(r"^\| TODO.*\n", re.MULTILINE), row)


def replace(file: Path, old: re.Pattern[str], new: str) -> None:
    """Put new text in the one place where the old stands."""
    text, count = old.subn(lambda _: new, file.read_text(encoding="utf-8"))
    assert count == 1, f"{file}: {count} places of {old.pattern}"
    file.write_text(text, encoding="utf-8")
