"""The command line that benchmarks share."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools import environment, hosts
from tools.hosts import CHECKOUT

RESULTS = CHECKOUT / "bench" / "results"


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number


def benchmark(
    name: str, about: str, tasks: Sequence[str], page: str, batch: int = 8
) -> argparse.ArgumentParser:
    """The options of a benchmark that judges images of some tasks and writes a page.

    Arguments:
        name: of its module in bench, and of its file of results.
        about: its documentation; the first line is shown.
        tasks: names of its tasks.
        page: name of its page in docs.
        batch: images sampled at once, if nothing else is said.
    """
    parser = argparse.ArgumentParser(prog=f"bench.{name}", description=about.splitlines()[0])
    parser.add_argument(
        "--task", "--tasks", nargs="+", choices=tasks, default=tasks, help="only these"
    )
    parser.add_argument("--seeds", type=positive, default=64, help="images of each task")
    parser.add_argument("--batch", type=positive, default=batch, help="images sampled at once")
    parser.add_argument(
        "--results", type=Path, default=RESULTS / f"{name}.json", help="finished batches"
    )
    parser.add_argument("--page", type=Path, default=CHECKOUT / "docs" / f"{page}.md")
    parser.add_argument("--render", action="store_true", help="only write the page again")
    return parser


def batches(options: argparse.Namespace) -> list[tuple[int, int]]:
    """First seed and size of every batch."""
    starts = range(0, options.seeds, options.batch)
    return [(seed, min(options.batch, options.seeds - seed)) for seed in starts]


def in_comfyui(
    module: str,
    arguments: Sequence[str],
    variables: Mapping[str, str] | None = None,
    *,
    required: bool = True,
) -> int:
    """Run a module in the python of the first ComfyUI found, and return its exit status.

    Arguments:
        module: what to run.
        arguments: of its command line.
        variables: added to its environment, beside COMFYUI_PATH.
        required: whether no ComfyUI is an error; else it runs in this project's own python.

    Raises:
        ValueError: there is no ComfyUI, or COMFYUI_PATH names a folder that is none.
    """
    host = next(iter(hosts.find()), None)
    if host is None and required:
        raise ValueError("no ComfyUI found: set COMFYUI_PATH to the folder of main.py")
    python = environment.of(host) if host else environment.own()
    added = {"COMFYUI_PATH": str(host.path)} if host else {}
    return subprocess.run(
        [str(python), "-m", module, *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **added, **(variables or {})},
        check=False,
    ).returncode


def run(main: Callable[[], int | None], name: str) -> None:
    """Run a command; an expected error ends it with one line."""
    try:
        sys.exit(main())
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"{name}: {error}")
