"""The node that loads a guide network, made for each kind of network from one row of facts."""

from __future__ import annotations

from dataclasses import dataclass

from comfy_api.latest import io

from ..host import networks
from ..inputs.network_file import architecture_input, file_fault, file_input
from ..inputs.sockets import Network, schema


@dataclass(frozen=True)
class Row:
    """What tells one loader from another.

    Arguments:
        node_id: "EGLoad" and the name of the network.
        title: name of the network in the menu.
        kind: what reads the file.
        description: what the network is good for.
        search_aliases: words under which the menu finds the node.
        architecture: tooltip of the architecture's name, after "The".
        serves: which nodes take the network.
    """

    node_id: str
    title: str
    kind: networks.Kind
    description: str
    search_aliases: tuple[str, ...]
    architecture: str
    serves: str


def loader_node(row: Row, module: str) -> type[io.ComfyNode]:
    """Return the node of a row, as a class of the file `module`."""

    class LoadNetwork(io.ComfyNode):
        @classmethod
        def define_schema(cls) -> io.Schema:
            """Widgets and sockets."""
            return schema(
                row.node_id,
                display_name=f"Load Guide: {row.title}",
                category="guidance/loaders",
                description=row.description,
                search_aliases=(*row.search_aliases, "guide network"),
                inputs=[
                    file_input(row.kind),
                    architecture_input(f"The {row.architecture} 'auto' reads it from the file."),
                ],
                outputs=[Network.Output(display_name="network", tooltip=f"For {row.serves}.")],
            )

        @classmethod
        def validate_inputs(cls, file: str | None = None) -> bool | str:
            """Refuse a missing file when the workflow is queued."""
            return file_fault(file, row.kind) or True

        @classmethod
        def execute(cls, file: str, architecture: str) -> io.NodeOutput:
            """Load the network."""
            return io.NodeOutput(networks.load(row.kind, file, architecture))

    LoadNetwork.network_kind = row.kind  # type: ignore[attr-defined]
    LoadNetwork.__name__ = LoadNetwork.__qualname__ = row.node_id.removeprefix("EG")
    LoadNetwork.__module__, LoadNetwork.__doc__ = module, row.description
    return LoadNetwork
