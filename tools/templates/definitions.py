"""What a ComfyUI says of the nodes: their inputs in order, the defaults and the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
Info = Mapping[str, Any]  # /object_info


class Input(NamedTuple):
    """An input of a node.

    Arguments:
        name, kind: as the node has them; COMBO for every list of choices.
        options: the node's, such as its default.
        optional: whether the node does without it.
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    optional: bool

    @property
    def is_widget(self) -> bool:
        """Whether it has a value on the node."""
        return self.kind in WIDGETS

    @property
    def is_seed(self) -> bool:
        """Whether the page puts what happens after each run behind it."""
        return bool(self.options.get("control_after_generate"))


def inputs(info: Info, kind: str) -> list[Input]:
    """The inputs of a node in order, required ones first."""
    found = []
    for optional, part in ((False, "required"), (True, "optional")):
        for name, (first, *rest) in info[kind]["input"].get(part, {}).items():
            choices = not isinstance(first, str)
            options = {**({"options": first} if choices else {}), **(rest[0] if rest else {})}
            found.append(Input(name, "COMBO" if choices else first, options, optional))
    return found


def values(info: Info, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values and links of a node in order: those given, and defaults of what it requires.

    Optional widgets stay out, so that those of later versions break no template; where one is
    given, those before it are in.

    Raises:
        ValueError: the node has no input of a given name, or requires one without a default.
    """
    known = inputs(info, kind)
    if strange := given.keys() - {one.name for one in known}:
        raise ValueError(f"expected inputs of {kind}, got {', '.join(sorted(strange))}")
    last = max((k for k, one in enumerate(known) if one.is_widget and one.name in given), default=0)
    return {
        one.name: given[one.name] if one.name in given else _default(kind, one)
        for k, one in enumerate(known)
        if one.name in given or not one.optional or (one.is_widget and k < last)
    }


def _default(kind: str, one: Input) -> Any:
    if "default" in one.options:
        return one.options["default"]
    raise ValueError(f"{kind} requires {one.name}, which has no default: give it in the template")
