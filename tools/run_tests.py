"""Run every test: the core alone, web/ in node, each ComfyUI found, and a browser.

The browser runs all of its tests on the first ComfyUI, and on newer ones those that every frontend
must show.

    .venv/bin/python -m tools.run_tests [arguments for pytest]

Ends with the closing line of every run. Without a ComfyUI the host tests are skipped with one line,
and without node those of web/; where CI is set, that is a failure.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools import environment, hosts, javascript

ADVICE = "no ComfyUI found (set COMFYUI_PATH to the folder with its main.py)"
# A count at the end of node's report.
COUNT = re.compile(r"\S (pass|fail) (\d+)$")
# Each file of tests in one process, as many processes as there are cores; "-n 0" takes one.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
TOGETHER = ("-n", "auto", "--maxprocesses=4", "--dist=loadfile")
# What takes minutes is asked for by ARGS='-m slow', before a release.
QUICK = ("-m", "not slow")
# What one ComfyUI has shown, the others need not show again.
NOT_AGAIN = ("-m", "(not once or everywhere) and not slow")
# What the browser shows on every frontend.
EVERY_FRONTEND = ("-m", "frontends")
# pytest's own code for "nothing was collected", for example under -k.
NO_TESTS = 5


def main(arguments: Sequence[str]) -> int:
    """Run all suites; 0 where all passed."""
    ci = bool(os.environ.get("CI"))
    shared = (*TOGETHER, *arguments)
    code, line = _pytest(environment.own(), "core", shared, ONE_THREAD)
    codes, closing = [code], [f"core: {line}"]
    node_code, line = _node(ci)
    closing.append(f"js: {line}")
    found = _hosts(ci)
    for host in found:
        first = host is found[0]
        variables = {"COMFYUI_PATH": str(host.path), **ONE_THREAD}
        code, line = _pytest(
            environment.of(host), "host", (*(QUICK if first else NOT_AGAIN), *shared), variables
        )
        codes.append(code)
        closing.append(f"host {host.version}: {line}")
        if first or _number(host) > _number(found[0]):
            variables["COMFYUI_PYTHON"] = str(environment.of(host))
            # One window: two take as long, since each shares its core with its ComfyUI.
            chosen = arguments if first else (*EVERY_FRONTEND, *arguments)
            code, line = _pytest(environment.own(), "web", chosen, variables)
            codes.append(code)
            closing.append(f"web {host.version}: {line}")
    missing = not found
    if missing:
        closing.append(f"host: {'failed' if ci else 'skipped'}, {ADVICE}")
    nothing = set(codes) == {NO_TESTS}
    if nothing:
        closing.append(f"no test in Python is chosen by {' '.join(arguments)}: choose other ARGS")
    print("\n" + "\n".join(closing))
    failed = node_code or nothing or (missing and ci)
    return int(bool(failed) or any(code not in (0, NO_TESTS) for code in codes))


def _hosts(ci: bool) -> list[hosts.Host]:
    found = hosts.find()
    cloned = hosts.clone() if ci and not found else None
    return [cloned] if cloned else found


def _number(host: hosts.Host) -> tuple[int, ...]:
    """A version that can be compared; that of an unknown one is the least."""
    return tuple(map(int, re.findall(r"\d+", host.version)))


def _pytest(
    python: Path, folder: str, arguments: Sequence[str], variables: Mapping[str, str]
) -> tuple[int, str]:
    """Run pytest, and keep its closing line."""
    print(f"\n== tests/{folder} {' '.join(variables.values())}", flush=True)
    code, lines = _shown([str(python), "-m", "pytest", f"tests/{folder}", *arguments], variables)
    last = next((line for line in reversed(lines) if line.strip()), "")
    return code, last.strip("= ")


def _node(ci: bool) -> tuple[int, str]:
    """Run the tests of web/ in node, all of them whatever pytest is asked for, and count them."""
    command = javascript.test_command()
    if command is None:
        return int(ci), f"{'failed' if ci else 'skipped'}, {javascript.MISSING}"
    print("\n== tests/js", flush=True)
    code, lines = _shown(command, {"PYTHON": str(environment.own())})
    counts = dict(found.groups() for line in lines if (found := COUNT.match(line)))
    passed, failed = int(counts.get("pass", 0)), int(counts.get("fail", 0))
    return code or int(not passed), f"{passed} passed, {failed} failed"


def _shown(command: Sequence[str], variables: Mapping[str, str]) -> tuple[int, list[str]]:
    """Run a command, show what it prints as it prints it, and return its status and its lines."""
    process = subprocess.Popen(
        command,
        cwd=hosts.CHECKOUT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    lines = []
    for line in process.stdout or ():
        print(line, end="", flush=True)
        lines.append(line)
    return process.wait(), lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
