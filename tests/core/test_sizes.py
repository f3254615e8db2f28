"""Files and functions stay short enough to read at a glance."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("guidance_core", "nodes", "web")
LONGEST_FILE, LONGEST_FUNCTION = 220, 40
# A schema lists a node's widgets: it is as long as they are many.
SCHEMAS = ("define_schema",)


def sources(*suffixes: str) -> list[Path]:
    """Files of the shipped rooms with one of these endings."""
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*")]
    return sorted(path for path in found if path.suffix in suffixes)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a Python file and how many lines it takes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def test_no_file_is_too_long():
    lengths = {
        path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources(".py", ".js")
    }
    assert not {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE}


def test_no_function_is_too_long():
    assert not [
        (path.relative_to(ROOT), name, lines)
        for path in sources(".py")
        for name, lines in functions(path)
        if lines > LONGEST_FUNCTION and name not in SCHEMAS
    ]
