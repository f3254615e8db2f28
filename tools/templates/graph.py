"""A workflow as a list of nodes: what is connected to what, with which values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class File(NamedTuple):
    """A file of weights, as the frontend's model metadata names it.

    Arguments:
        name: of the file, as a picker shows it.
        url: where it is published.
        directory: folder below models.
    """

    name: str
    url: str
    directory: str

    @property
    def offered(self) -> bool:
        """Whether the page offers the download: pickers name all files but those of taesd."""
        return self.directory != "vae_approx" or self.name.startswith("light")


def huggingface(directory: str, repository: str, path: str) -> File:
    """A file of a repository of huggingface.co."""
    url = f"https://huggingface.co/{repository}/resolve/main/{path}"
    return File(path.rpartition("/")[2], url, directory)


class Link(NamedTuple):
    """An output of a node."""

    node: int
    slot: int


@dataclass(frozen=True)
class Node:
    """One node.

    Arguments:
        id: its number, from 1.
        kind: its class.
        column: where it stands, from 0 on the left.
        title: what its header says; empty is the class's name.
        inputs: values of widgets, and links.
        files: what its pickers name, and what it needs besides.
    """

    id: int
    kind: str
    column: int
    title: str
    inputs: dict[str, Any]
    files: tuple[File, ...] = ()

    def __getitem__(self, slot: int) -> Link:
        """One of its outputs."""
        return Link(self.id, slot)


@dataclass
class Graph:
    """Nodes in the order in which they run."""

    nodes: list[Node] = field(default_factory=list)

    def add(
        self, kind: str, column: int, title: str = "", files: Sequence[File] = (), **inputs: Any
    ) -> Node:
        """Add a node and return it."""
        node = Node(len(self.nodes) + 1, kind, column, title, inputs, tuple(files))
        self.nodes.append(node)
        return node

    @property
    def files(self) -> list[File]:
        """All files, each once."""
        return list(dict.fromkeys(file for node in self.nodes for file in node.files))
