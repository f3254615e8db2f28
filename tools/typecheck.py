"""Run mypy on the pack as ComfyUI sees it: a package whose rooms import each other relatively.

    .venv/bin/python -m tools.typecheck

The folder of a checkout may bear any name, also one that is no Python name, so mypy looks at the
pack through a link called energy_guidance.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGES = ("guidance_core", "nodes")


def main() -> int:
    """Return mypy's exit status."""
    present = [name for name in PACKAGES if any((CHECKOUT / name).rglob("*.py"))]
    with tempfile.TemporaryDirectory() as folder:
        pack = Path(folder) / "energy_guidance"
        pack.mkdir()
        for name in (*present, "__init__.py"):
            if (CHECKOUT / name).exists():
                (pack / name).symlink_to(CHECKOUT / name)
        command = [sys.executable, "-m", "mypy", "--config-file", str(CHECKOUT / "pyproject.toml")]
        command += [f"--cache-dir={CHECKOUT / '.mypy_cache'}"]
        for name in present:
            command += ["-p", f"energy_guidance.{name}"]
        return subprocess.run(
            command, cwd=folder, env={**os.environ, "MYPYPATH": folder}, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
