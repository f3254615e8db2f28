"""Write what the nodes' schemas say into locales/en/nodeDefs.json and the help pages of web/docs/.

    python -m tools.locales

Other languages are written by hand in the same shape; `missing` and `unknown` compare them.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tools import help_pages, hosts, object_info

FOLDER = hosts.CHECKOUT / "locales"
NODES = "nodeDefs.json"


def of(language: str, file: str = NODES) -> dict[str, Any]:
    """What a language says."""
    texts: dict[str, Any] = json.loads((FOLDER / language / file).read_text(encoding="utf-8"))
    return texts


def definitions(nodes: dict[str, Any]) -> dict[str, Any]:
    """The pack's nodes of a host's /object_info in the shape of nodeDefs.json."""
    return {name: _definition(node) for name, node in sorted(nodes.items())}


def _definition(node: dict[str, Any]) -> dict[str, Any]:
    inputs = help_pages.inputs(node)
    outputs = zip(node["output_name"], node["output_tooltips"], strict=True)
    return {
        "display_name": node["display_name"],
        "description": node["description"],
        "inputs": {
            name: {"name": name, "tooltip": spec[1]["tooltip"]} for name, spec in inputs.items()
        },
        "outputs": {
            str(slot): {"name": name, "tooltip": tooltip}
            for slot, (name, tooltip) in enumerate(outputs)
        },
    }


def missing(texts: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    """Dotted names of the texts that a language lacks, beside a whole one of the same shape."""
    found = []
    for key, value in whole.items():
        if not isinstance(value, dict):
            found += [] if texts.get(key, "").strip() else [key]
        elif key not in texts:
            found.append(key)
        else:
            found += [f"{key}.{name}" for name in missing(texts[key], value)]
    return found


def main() -> int:
    """Write English, and say what the others lack."""
    found = hosts.find()
    if not found:
        print("no ComfyUI found: set COMFYUI_PATH to the folder with its main.py", file=sys.stderr)
        return 1
    write(object_info.of(found[0]))
    return 0


def write(nodes: dict[str, Any]) -> None:
    """Write what the nodes of an /object_info say."""
    english = definitions(nodes)
    text = json.dumps(english, indent=2) + "\n"
    (FOLDER / "en" / NODES).write_text(text, encoding="utf-8")
    pages = help_pages.write(nodes)
    print(f"English: {len(english)} nodes; help pages written: {', '.join(pages) or 'none'}")
    for language in sorted({folder.name for folder in FOLDER.iterdir()} - {"en"}):
        print(f"{language} lacks: {', '.join(missing(of(language), english)) or 'nothing'}")


if __name__ == "__main__":
    sys.exit(main())
