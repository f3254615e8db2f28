"""Write the templates for real checkpoints into example_workflows/, and their table in docs/.

    python -m tools.templates http://127.0.0.1:8188

The ComfyUI must have this pack, and know every family: it says which inputs the nodes have.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tools.templates import card, notes, page, table
from tools.templates.families import FAMILIES, Family
from tools.templates.graph import Graph
from tools.templates.parts import loaded
from tools.templates.tasks import TASKS, Task

FOLDER = Path(__file__).resolve().parents[2] / "example_workflows"


def name_of(family: Family, task: Task) -> str:
    """The name of a template's files."""
    return f"{family.key}-{task.key}"


def templates() -> dict[str, tuple[Family, Task, Graph]]:
    """Every template by its name."""
    found = {}
    for family in FAMILIES:
        for task in TASKS:
            if family in task.families:
                graph, name = Graph(), name_of(family, task)
                task.build(loaded(graph, family, name), task.push(family))
                found[name] = family, task, graph
    return found


def forms(name: str, info: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Page and API form of a template, by what a ComfyUI says of its nodes."""
    family, task, graph = templates()[name]
    note = notes.text(family, task, graph.files)
    return page.page(name, graph, note, info), page.api(graph, info)


def main(address: str) -> None:
    """Write both forms and the card of every template."""
    with urllib.request.urlopen(f"{address}/object_info", timeout=60) as answer:
        info = json.load(answer)
    for name, (family, task, _) in templates().items():
        shown, sent = forms(name, info)
        _write(FOLDER / f"{name}.json", shown, indent=1)
        _write(FOLDER / "api" / f"{name}.json", sent, indent=2)
        card.draw(family, task).save(FOLDER / f"{name}.jpg", quality=88)
        print(name)
    table.write()


def _write(file: Path, content: dict[str, Any], indent: int) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
