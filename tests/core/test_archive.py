"""What `comfy node pack` puts into the registry's archive: all that a user needs, nothing else.

It takes the files that git knows, less those of .comfyignore, which git itself can tell apart.
"""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = {
    *("__init__.py", "pyproject.toml", "requirements.txt"),
    *("README.md", "CHANGELOG.md", "LICENSE"),
}
FOLDERS = {
    *("assets", "example_workflows", "guidance_core", "locales", "nodes", "subgraphs", "web"),
}
LARGEST = 48e6


def listed(*options: str) -> set[str]:
    command = ["git", "ls-files", "-z", *options]
    found = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=False)
    if found.returncode:
        pytest.skip("this checkout is no git repository")
    return set(found.stdout.decode().split("\0")) - {""}


@pytest.fixture(scope="module")
def packed() -> set[str]:
    return listed() - listed("--cached", "--ignored", "--exclude-from=.comfyignore")


def test_it_holds_what_a_user_needs_and_nothing_else(packed: set[str]) -> None:
    parts = [Path(name).parts for name in packed]
    assert {first for first, *rest in parts if not rest} == FILES
    assert {first for first, *rest in parts if rest} == FOLDERS
    assert not any(part[:2] == ("example_workflows", "api") for part in parts)


def test_it_is_small(packed: set[str]) -> None:
    assert sum((CHECKOUT / name).stat().st_size for name in packed) < LARGEST


def test_nothing_in_it_imports_what_is_left_out(packed: set[str]) -> None:
    left_out = {path.name for path in CHECKOUT.iterdir() if path.is_dir()} - FOLDERS
    for name in sorted(packed):
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse((CHECKOUT / name).read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            assert not {module.split(".")[0] for module in modules} & left_out, name
