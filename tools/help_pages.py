"""The parts of the help pages in web/docs/ that the nodes' schemas say: tables, and whole stubs.

The tables under "## Inputs" and "## Outputs" are generated, the prose around them is written by
hand. A node without a page gets a stub, which is then written by hand too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

from tools.hosts import CHECKOUT

FOLDER = CHECKOUT / "web" / "docs"
# The table of a section; `with_tables` puts another one in its place.
TABLE = r"(?<=^## {}\n\n)(?:\|.*\n)*"
LONGEST = 40  # characters of a default that a table shows
WIDEST = 1000  # a range with larger numbers is no advice
STUB = """# {title}

{description}

There is no picture to show here yet.

## Inputs

{inputs}
## Recipe

1. *Rule: Forward*, scale `relative`, strength 0.5: a good start for any energy.
2. Raise the strength until the image follows; lower it where texture burns in.

## Source

{source}
"""
NO_SOURCE = "No paper of its own."


def with_tables(page: str, node: dict[str, Any]) -> str:
    """A page with the tables of its node, as /object_info describes it.

    Raises:
        ValueError: the page has no section for the inputs that the node has.
    """
    if inputs(node) and not re.search(TABLE.format("Inputs"), page, re.MULTILINE):
        raise ValueError('expected a line "## Inputs" and an empty line in the help page')
    for section, rows in (("Inputs", _input_rows(node)), ("Outputs", _output_rows(node))):
        table = _table(rows).replace("\\", r"\\")
        page = re.sub(TABLE.format(section), table, page, flags=re.MULTILINE)
    return page


def stub(node: dict[str, Any]) -> str:
    """A page for a node that has none, with the references of its energy."""
    return STUB.format(
        title=node["display_name"],
        description=node["description"],
        inputs=_table(_input_rows(node)),
        source=_references(node) or NO_SOURCE,
    )


def inputs(node: dict[str, Any]) -> dict[str, Any]:
    """Inputs of a node by name, (type, options) each, in their order."""
    return {**node["input"].get("required", {}), **node["input"].get("optional", {})}


def write(nodes: dict[str, Any]) -> list[str]:
    """Bring every page up to date; the names of those that were written."""
    written = []
    for name, node in nodes.items():
        file = FOLDER / f"{name}.md"
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        after = with_tables(before, node) if before else stub(node)
        if after != before:
            file.write_text(after, encoding="utf-8")
            written.append(name)
    return written


def _input_rows(node: dict[str, Any]) -> list[tuple[str, ...]]:
    optional = node["input"].get("optional", {})
    rows = [
        (name, _default(options, optional=name in optional), options["tooltip"])
        for name, (_, options) in inputs(node).items()
    ]
    return [("name", "default", "what it does"), *rows] if rows else []


def _output_rows(node: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = zip(node["output_name"], node["output_tooltips"], strict=True)
    return [("name", "what it is"), *rows]


def _default(options: dict[str, Any], *, optional: bool) -> str:
    """The default of a widget with its range if narrow; of a socket, whether it is required."""
    if "default" not in options:
        return "optional" if optional else "required"
    value = options["default"]
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        shown = value if len(value) <= LONGEST and "\n" not in value else ""
        return f"`{shown}`" if shown else ""
    low, high = options["min"], options["max"]
    narrow = max(abs(low), abs(high)) < WIDEST
    return f"{value:g} ({low:g} to {high:g})" if narrow else f"{value:g}"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown, the first row as its heading."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    if lines:
        lines.insert(1, re.sub(r"[^|]+", "---", lines[0]))
    return "".join(f"{line}\n" for line in lines)


def _references(node: dict[str, Any]) -> str:
    """The references in the docstring of the file of the core that stands beside a node's."""
    room, name = node["python_module"].split(".")[-2:]
    file = CHECKOUT / "guidance_core" / room / f"{name}.py"
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) if file.exists() else ""
    return (text or "").partition("References:\n")[2].replace("\n    ", "\n").strip()
