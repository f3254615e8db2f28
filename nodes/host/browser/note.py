"""A line of text on the node that is running."""

from __future__ import annotations

from comfy_execution.utils import get_executing_context


def note(text: str) -> None:
    """Show text on the running node; without a server there is nowhere to show it."""
    context = get_executing_context()
    if context is None:
        return
    from server import PromptServer

    if getattr(PromptServer, "instance", None) is not None:
        PromptServer.instance.send_progress_text(text, context.node_id)
