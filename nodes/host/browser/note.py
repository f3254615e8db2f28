"""Lines of text on the node that is running, in a place that the browser keeps free for them."""

from __future__ import annotations

from comfy_execution.utils import get_executing_context

EVENT = "energy_guidance.note"


def note(text: str) -> None:
    """Show text on the running node; without a server there is nowhere to show it.

    Only nodes that web/note.js names have a place for it.
    """
    context = get_executing_context()
    if context is None:
        return
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is not None and server.client_id is not None:
        told = {"node": context.node_id, "prompt_id": context.prompt_id, "text": text}
        server.send_sync(EVENT, told, server.client_id)
