"""Sockets of the pack, and the one place that knows which schema keywords a host understands."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from comfy_api.latest import io

Energy = io.Custom("GUIDANCE_ENERGY")
Rule = io.Custom("GUIDANCE_RULE")
Schedule = io.Custom("GUIDANCE_SCHEDULE")
Trace = io.Custom("GUIDANCE_TRACE")
Network = io.Custom("GUIDE_NETWORK")
Tokens = io.Custom("GUIDANCE_TOKENS")
Reference = io.Custom("GUIDANCE_REFERENCE")
Path = io.Custom("GUIDANCE_PATH")
Direction = io.Custom("GUIDANCE_DIRECTION")

_KNOWN = frozenset(field.name for field in dataclasses.fields(io.Schema))
_Input = TypeVar("_Input", bound=io.Input)


def schema(node_id: str, *, search_aliases: tuple[str, ...] = (), **fields: Any) -> io.Schema:
    """`io.Schema`, with the keywords that only newer hosts know passed only to those."""
    newer = {"search_aliases": list(search_aliases)}
    return io.Schema(
        node_id=node_id,
        **fields,
        **{key: value for key, value in newer.items() if key in _KNOWN},
    )


def advanced(widget: _Input) -> _Input:
    """Fold a widget away on hosts that can; older ones ignore the mark."""
    widget.extra_dict["advanced"] = True
    return widget
