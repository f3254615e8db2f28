"""Run every test: the core alone, then against each ComfyUI found, then in a browser on the first.

    .venv/bin/python -m tools.run_tests [arguments for pytest]

Ends with pytest's closing line of every run. Without a ComfyUI the host tests are skipped with one
line; where CI is set, that is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools import environment, hosts

ADVICE = "no ComfyUI found (set COMFYUI_PATH to the folder with its main.py)"
# pytest's own code for "nothing was collected", for example under -k.
NO_TESTS = 5


def main(arguments: Sequence[str]) -> int:
    """Run all suites; 0 where all passed."""
    ci = bool(os.environ.get("CI"))
    code, line = _pytest(environment.own(), "core", arguments, {})
    codes, closing = [code], [f"core: {line}"]
    for host in _hosts(ci):
        variables = {"COMFYUI_PATH": str(host.path)}
        code, line = _pytest(environment.of(host), "host", arguments, variables)
        codes.append(code)
        closing.append(f"host {host.version}: {line}")
        if len(codes) == 2:
            variables["COMFYUI_PYTHON"] = str(environment.of(host))
            code, line = _pytest(environment.own(), "web", arguments, variables)
            codes.append(code)
            closing.append(f"web {host.version}: {line}")
    if len(codes) == 1:
        codes.append(int(ci))
        closing.append(f"host: {'failed' if ci else 'skipped'}, {ADVICE}")
    print("\n" + "\n".join(closing))
    return int(any(code not in (0, NO_TESTS) for code in codes) or set(codes) == {NO_TESTS})


def _hosts(ci: bool) -> list[hosts.Host]:
    found = hosts.find()
    cloned = hosts.clone() if ci and not found else None
    return [cloned] if cloned else found


def _pytest(
    python: Path, folder: str, arguments: Sequence[str], variables: Mapping[str, str]
) -> tuple[int, str]:
    """Run pytest, show what it prints as it prints it, and keep its closing line."""
    print(f"\n== tests/{folder} {' '.join(variables.values())}", flush=True)
    process = subprocess.Popen(
        [str(python), "-m", "pytest", f"tests/{folder}", *arguments],
        cwd=hosts.CHECKOUT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    last = ""
    for line in process.stdout or ():
        print(line, end="", flush=True)
        last = line.strip() or last
    return process.wait(), last.strip("= ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
