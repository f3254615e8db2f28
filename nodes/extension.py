"""The list of nodes that ComfyUI asks for, derived from the rooms."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from comfy_api.latest import ComfyExtension, io

from .host import label_list
from .host.browser import routes

ROOMS = ("start", "energies", "rules", "sampling", "editing", "loaders", "diagnostics")


def nodes_of(room: str) -> list[type[io.ComfyNode]]:
    """The node classes that the files of a room define, in the order of the files' names."""
    found = []
    for file in sorted((Path(__file__).parent / room).glob("[!_]*.py")):
        module = import_module(f".{room}.{file.stem}", __package__)
        found += [thing for thing in vars(module).values() if _is_node(thing, module.__name__)]
    return found


def _is_node(thing: object, module: str) -> bool:
    """Whether a module defines this and it is a node."""
    return (
        isinstance(thing, type) and issubclass(thing, io.ComfyNode) and thing.__module__ == module
    )


class EnergyGuidance(ComfyExtension):
    """The pack as ComfyUI sees it."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node class of the pack, once the server answers the pack's browser part."""
        # Not in on_load, which ComfyUI 0.3 never calls.
        routes.register(labels=label_list.answer)
        return [node for room in ROOMS for node in nodes_of(room)]
