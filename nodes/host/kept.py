"""Where work that was stopped is kept, and what tells it from that of other workflows."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import folder_paths


def check_name(name: str) -> None:
    """Refuse with a ValueError what is more than a name."""
    if not re.fullmatch(r"[\w-]{1,64}", name):
        raise ValueError(
            f"name must be 1 to 64 letters, digits, '-' or '_', got {name!r}: it names a file"
        )


def kept_in(folder: str, name: str) -> Path:
    """A folder of ComfyUI's output folder, for files of this name.

    Raises:
        ValueError: a name that is more than a name, or a folder that leads elsewhere.
    """
    check_name(name)
    output = Path(folder_paths.get_output_directory()).resolve()
    path = (output / folder).resolve()
    if not path.is_relative_to(output):
        raise ValueError(f"{folder} leads out of ComfyUI's output folder: remove the link")
    return path


def workflow_key(prompt: dict[str, Any] | None, node: str | None) -> str:
    """Eight characters that change with whatever is connected to a node, however far away.

    Arguments:
        prompt: the workflow in API format, None where there is none.
        node: id of the node.
    """
    nodes = prompt or {}
    links = {
        key: {name: link for name, link in part["inputs"].items() if isinstance(link, list)}
        for key, part in nodes.items()
    }
    own = None if node is None else links.get(node)
    above: dict[str, Any] = {}
    waiting = [own or {}]
    while waiting:
        for key in (str(link[0]) for link in waiting.pop().values()):
            if key in nodes and key not in above:
                above[key] = {part: nodes[key].get(part) for part in ("class_type", "inputs")}
                waiting.append(links[key])
    text = json.dumps([own, above], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
