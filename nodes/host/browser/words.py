"""Which text encoder last ran through a node, so that the browser can show a prompt's words."""

from __future__ import annotations

import weakref
from typing import Any

from comfy_execution.utils import get_executing_context

from ..reading.words import Spelt, words_of

# By node id. Weak: the host alone decides how long a model stays in memory.
_encoders: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
_prompts: dict[str, str] = {}


def remember(clip: Any, prompt: str) -> None:
    """Note what runs through the node that is being executed."""
    context = get_executing_context()
    if context is not None:
        _encoders[context.node_id], _prompts[context.node_id] = clip, prompt


def words_at(node: str, prompt: str | None) -> list[Spelt]:
    """Words of a prompt in the order of its text, as the node's text encoder spells them.

    Arguments:
        node: id of a node that has run.
        prompt: the text; None for that of the node's last run.

    Raises:
        LookupError: nothing has run through this node, or its text encoder is gone.
        ValueError: the text encoder is of a kind whose context is not known.
    """
    if node not in _encoders:
        raise LookupError("no text encoder has run through this node yet: run the workflow once")
    return words_of(_encoders[node], _prompts[node] if prompt is None else prompt)
