"""The workflow that is being queued, as its nodes' validation may look at it.

ComfyUI shows a node that validates its inputs no more than the node's own widgets. Its handlers of
queued prompts see all of them, in the same task just before: one keeps them, and `validated` tells
a node what is linked to it. Where nothing was kept, as in hosts without a server, it tells nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from comfy_execution.utils import get_executing_context

_queued: ContextVar[Mapping[str, Any]] = ContextVar("energy_guidance_queued")


def listen(server: Any) -> None:
    """Keep each prompt that the host's server is given, while it is validated."""
    server.add_on_prompt_handler(_keep)


def _keep(request: dict[str, Any]) -> dict[str, Any]:
    _queued.set(request.get("prompt") or {})
    return request


def validated() -> Node | None:
    """The node that is being validated; None where its workflow is not known."""
    graph, context = _queued.get(None), get_executing_context()
    if not graph or context is None or context.node_id not in graph:
        return None
    return Node(graph, context.node_id)


def title_of(kind: str) -> str:
    """What the menu calls the nodes of a class."""
    return str(_host().NODE_DISPLAY_NAME_MAPPINGS.get(kind, kind))


def network_kind(kind: str) -> Any:
    """What the loaders of a class read, a `networks.Kind`; None for other nodes."""
    return getattr(_host().NODE_CLASS_MAPPINGS.get(kind), "network_kind", None)


def _host() -> Any:
    """The host's module of that name, which a sampler without a server does not load."""
    return sys.modules["nodes"]


@dataclass(frozen=True, eq=False)
class Node:
    """A node of a queued workflow.

    Arguments:
        graph: the workflow in API form, nodes by id.
        id: of the node.
    """

    graph: Mapping[str, Any]
    id: str

    @property
    def kind(self) -> str:
        """The id of its class."""
        return str(self.graph[self.id]["class_type"])

    @property
    def title(self) -> str:
        """What the menu calls it."""
        return title_of(self.kind)

    @property
    def sockets(self) -> dict[str, str]:
        """Types of all its inputs by name, as its class declares them."""
        made_by = _host().NODE_CLASS_MAPPINGS.get(self.kind)
        kinds = {} if made_by is None else made_by.INPUT_TYPES()
        given = {**kinds.get("required", {}), **kinds.get("optional", {})}
        return {name: spec[0] for name, spec in given.items() if isinstance(spec[0], str)}

    def value(self, name: str, default: Any = None) -> Any:
        """The value of a widget; `default` where it is left out, None where it is linked."""
        return None if self.source(name) else self._inputs.get(name, default)

    def source(self, name: str) -> Node | None:
        """The node that is linked to an input; None where none is."""
        link = self._inputs.get(name)
        linked = isinstance(link, list) and len(link) == 2 and link[0] in self.graph
        return Node(self.graph, link[0]) if linked else None

    def sources(self, *types: str) -> Iterator[tuple[str, Node]]:
        """The nodes that are linked to inputs of some types, each with the input's name."""
        for name, kind in self.sockets.items():
            node = self.source(name) if kind in types else None
            if node is not None:
                yield name, node

    def made_of(self) -> list[Node]:
        """This node, and all that reach it along links of any type, nearest first."""
        found, waiting = {self.id: self}, [self]
        while waiting:
            node = waiting.pop(0)
            for source in filter(None, map(node.source, node._inputs)):
                if source.id not in found:
                    found[source.id] = source
                    waiting.append(source)
        return list(found.values())

    def fed_from(self, source: str) -> list[Node]:
        """The nodes of its workflow that another one, by id, is linked to."""
        return [
            Node(self.graph, other)
            for other, node in self.graph.items()
            if any(
                isinstance(value, list) and value[:1] == [source]
                for value in node.get("inputs", {}).values()
            )
        ]

    @property
    def _inputs(self) -> Mapping[str, Any]:
        inputs: Mapping[str, Any] = self.graph[self.id].get("inputs", {})
        return inputs
