"""Write the templates into example_workflows/, and the table of start values in docs/.

    python -m tools.templates http://127.0.0.1:8188

Those with Shapes are what their API forms and tools/templates/gallery.py say: edit these. Those for
real checkpoints come from tools/templates/families.py and tasks.py. Names of files are for people;
keys name the API forms, the files that a template saves, and the pictures of help pages.

The ComfyUI must have this pack, and know every family: it says which inputs the nodes have.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tools.templates import card, gallery, notes, page, stored, table
from tools.templates.families import FAMILIES, Family
from tools.templates.graph import Graph
from tools.templates.parts import loaded
from tools.templates.tasks import TASKS, Task

FOLDER = Path(__file__).resolve().parents[2] / "example_workflows"
FIRST = 41  # number of the first template for a real checkpoint


def templates() -> dict[str, tuple[Family, Task, Graph]]:
    """Every template for a real checkpoint by its key."""
    found = {}
    for family in FAMILIES:
        for task in TASKS:
            if family in task.families:
                graph, key = Graph(), f"{family.key}-{task.key}"
                task.build(loaded(graph, family, key), task.push(family))
                found[key] = family, task, graph
    return found


def names() -> dict[str, str]:
    """The name of every template's file by its key, in the order of the gallery."""
    real = {
        key: gallery.name_of(number, f"{family.short}, {task.title}")
        for number, (key, (family, task, _)) in enumerate(templates().items(), FIRST)
    }
    every = gallery.names() | real
    return dict(sorted(every.items(), key=lambda one: one[1]))


def forms(key: str, info: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Page and API form of a template, by what a ComfyUI says of its nodes."""
    if key in gallery.EXAMPLES:
        text = (FOLDER / "api" / f"{key}.json").read_text(encoding="utf-8")
        graph, note = stored.graph(json.loads(text), info), gallery.EXAMPLES[key].note
    else:
        family, task, graph = templates()[key]
        note = notes.text(family, task, graph.files)
    return page.page(key, graph, note, info), page.api(graph, info)


def main(address: str) -> None:
    """Write both forms of every template, and the cards of those for real checkpoints."""
    with urllib.request.urlopen(f"{address}/object_info", timeout=60) as answer:
        info = json.load(answer)
    for key, name in names().items():
        shown, sent = forms(key, info)
        _write(FOLDER / f"{name}.json", shown, indent=1)
        _write(FOLDER / "api" / f"{key}.json", sent, indent=2)
    for key, (family, task, _) in templates().items():
        card.draw(family, task).save(FOLDER / f"{names()[key]}.jpg", quality=88)
    table.write()


def _write(file: Path, content: dict[str, Any], indent: int) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
