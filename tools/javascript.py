"""Check the types of web/ with TypeScript's compiler, and run the tests of its pure parts.

    .venv/bin/python -m tools.javascript        checks the types

Needs node 18.19 or newer and npm. Without them nothing is checked, which is said in one line; where
CI is set, that is a failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.hosts import CHECKOUT

MISSING = "node and npm not found (Debian: apt-get install nodejs npm)"
INSTALL = ("install", "--include=dev", "--no-package-lock", "--no-audit", "--no-fund", "--silent")


def main() -> int:
    """Return the compiler's exit status."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        ci = bool(os.environ.get("CI"))
        print(f"types of web/: {'failed' if ci else 'skipped'}, {MISSING}")
        return int(ci)
    compiler = CHECKOUT / "node_modules" / "typescript"
    if _version(compiler) != _pinned():
        done = subprocess.run([npm, *INSTALL], check=False, cwd=CHECKOUT)
        if done.returncode != 0:
            sys.exit(f"installing TypeScript failed, see above: npm {' '.join(INSTALL)}")
    command = [node, str(compiler / "bin" / "tsc"), "--project", "jsconfig.json"]
    code = subprocess.run(command, check=False, cwd=CHECKOUT).returncode
    if code == 0:
        print("Success: the types of web/ fit")
    return code


def test_command() -> list[str] | None:
    """What runs the tests of tests/js/; None where there is no node."""
    node = shutil.which("node")
    files = sorted(str(file) for file in (CHECKOUT / "tests" / "js").glob("*.test.js"))
    return [node, "--test", "--test-reporter=spec", *files] if node else None


def _pinned() -> str:
    package = json.loads((CHECKOUT / "package.json").read_text(encoding="utf-8"))
    return package["devDependencies"]["typescript"]


def _version(package: Path) -> str | None:
    """The version of an installed package, if it is there."""
    file = package / "package.json"
    return json.loads(file.read_text(encoding="utf-8"))["version"] if file.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
