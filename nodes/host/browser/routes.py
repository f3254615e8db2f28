"""Routes of ComfyUI's server that the pack's browser part calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from . import monitor, queued, words

LONGEST = 20_000  # characters of a prompt


def register(**more: Callable) -> None:
    """Add the routes to ComfyUI's server, where there is one.

    Arguments:
        more: what answers at further addresses, by name.
    """
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.post("/energy_guidance/monitor")(watch)
        server.routes.post("/energy_guidance/words")(prompt_words)
        for name, answer in more.items():
            server.routes.post(f"/energy_guidance/{name}")(answer)
        queued.listen(server)


async def watch(request: web.Request) -> web.Response:
    """{"client_id": str, "on": bool, "folded": [node id, ...]}: what a browser wants to see."""
    body = await body_of(request)
    client, on, folded = (body.get(name) for name in ("client_id", "on", "folded"))
    if not (isinstance(client, str) and isinstance(on, bool) and _is_words(folded)):
        raise refused("expected client_id (text), on (true or false) and folded (list of ids)")
    monitor.watch(client, on, folded)
    return web.json_response({})


async def prompt_words(request: web.Request) -> web.Response:
    """{"node": id, "prompt": text or null} to {"words": [{"text", "pieces", "weight"}, ...]}.

    The words are those of the text encoder that last ran through the node.
    """
    body = await body_of(request)
    node, prompt = body.get("node"), body.get("prompt")
    if not (isinstance(node, str) and isinstance(prompt, str | None)):
        raise refused("expected node (an id) and prompt (text, or null for that of the last run)")
    if prompt is not None and len(prompt) > LONGEST:
        raise refused(f"the prompt has {len(prompt)} characters, at most {LONGEST} are taken")
    try:
        found = words.words_at(node, prompt)
        return web.json_response({"words": [asdict(word) for word in found]})
    except LookupError as fault:
        raise web.HTTPNotFound(text=str(fault.args[0])) from None
    except ValueError as fault:
        raise refused(str(fault)) from None


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object that was sent; another body is refused."""
    try:
        body = await request.json()
    except ValueError:
        raise refused("the request is not JSON") from None
    if not isinstance(body, dict):
        raise refused(f"expected a JSON object, got {type(body).__name__}")
    return body


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def refused(message: str) -> web.HTTPBadRequest:
    """The answer to what cannot be used."""
    return web.HTTPBadRequest(text=message)
