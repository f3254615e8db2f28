"""What the pack's browser part asks of the server."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from . import monitor


def register() -> None:
    """Add the routes to ComfyUI's server, where there is one."""
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.post("/energy_guidance/monitor")(watch)


async def watch(request: web.Request) -> web.Response:
    """{"client_id": str, "on": bool, "folded": [node id, ...]}: what a browser wants to see."""
    body = await _body(request)
    client, on, folded = (body.get(name) for name in ("client_id", "on", "folded"))
    if not (isinstance(client, str) and isinstance(on, bool) and _is_words(folded)):
        raise _refused("expected client_id (text), on (true or false) and folded (list of ids)")
    monitor.watch(client, on, folded)
    return web.json_response({})


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise _refused("the request is not JSON") from None
    if not isinstance(body, dict):
        raise _refused(f"expected a JSON object, got {type(body).__name__}")
    return body


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _refused(message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=message)
