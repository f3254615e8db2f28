"""Write locales/en/nodeDefs.json from a running ComfyUI, so that it never differs from the nodes.

    python -m tools.locales http://127.0.0.1:8188

Other languages are written by hand in the same shape; tests/host compares them with the nodes.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

PREFIX = "EG"
ENGLISH = Path(__file__).resolve().parents[1] / "locales" / "en" / "nodeDefs.json"


def definitions(object_info: dict[str, Any]) -> dict[str, Any]:
    """The pack's nodes of a host's /object_info in the shape of nodeDefs.json."""
    return {
        name: _definition(node)
        for name, node in sorted(object_info.items())
        if name.startswith(PREFIX)
    }


def _definition(node: dict[str, Any]) -> dict[str, Any]:
    inputs = {**node["input"].get("required", {}), **node["input"].get("optional", {})}
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


def main(address: str) -> None:
    """Fetch, and write the file."""
    with urllib.request.urlopen(f"{address}/object_info", timeout=60) as response:
        english = definitions(json.load(response))
    ENGLISH.write_text(json.dumps(english, indent=2) + "\n", encoding="utf-8")
    print(f"{ENGLISH}: {len(english)} nodes")


if __name__ == "__main__":
    main(sys.argv[1])
