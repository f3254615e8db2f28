"""What a ComfyUI tells its web page of the pack's nodes, without a server.

    python -m tools.object_info ComfyUI FILE

is run by `of` with the ComfyUI's own python, and writes the pack's part of /object_info to a file.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools import environment
from tools.hosts import CHECKOUT, Host

PACK = "energy_guidance"


def of(host: Host) -> dict[str, Any]:
    """The pack's nodes by their ids, as /object_info of this ComfyUI has them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "object_info.json"
        command = [str(environment.of(host)), "-m", "tools.object_info", str(host.path), str(file)]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"ComfyUI {host.version} did not load the pack:\n{done.stderr}")
        nodes: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return nodes


def main(comfyui: str, file: str) -> None:
    """Load the pack into this process and write what it offers."""
    with tempfile.TemporaryDirectory() as base:
        _start(comfyui, base)
        nodes = asyncio.run(_nodes())
    info = {
        node.GET_SCHEMA().node_id: {**node.GET_NODE_INFO_V1(), "python_module": node.__module__}
        for node in nodes
    }
    Path(file).write_text(json.dumps(info), encoding="utf-8")


def _start(comfyui: str, base: str) -> None:
    """Import ComfyUI on the CPU; an empty base folder has no weights that a picker could list."""
    sys.path.insert(0, comfyui)
    sys.argv = ["main.py", "--cpu", "--base-directory", base]
    import comfy.options

    comfy.options.enable_args_parsing()
    # As main.py does: later on, comfy/utils.py would take this name.
    importlib.import_module("utils.extra_config")


async def _nodes() -> list[Any]:
    """The pack's node classes; it is loaded from its file, as ComfyUI does."""
    spec = importlib.util.spec_from_file_location(
        PACK, CHECKOUT / "__init__.py", submodule_search_locations=[str(CHECKOUT)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no pack in {CHECKOUT}")
    pack = importlib.util.module_from_spec(spec)
    sys.modules[PACK] = pack
    spec.loader.exec_module(pack)
    extension = await pack.comfy_entrypoint()
    nodes: list[Any] = await extension.get_node_list()
    return nodes


if __name__ == "__main__":
    main(*sys.argv[1:])
