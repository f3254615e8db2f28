"""The labels that a guide network has, for the browser to choose from."""

from __future__ import annotations

import asyncio

from aiohttp import web

from . import networks
from .browser.queued import network_kind
from .browser.routes import body_of, refused


async def answer(request: web.Request) -> web.Response:
    """{"loader": class of node, "file", "architecture"} to {"labels": [text, ...]}.

    Only files that the loader offers are looked at.
    """
    body = await body_of(request)
    loader, file, architecture = (body.get(key) for key in ("loader", "file", "architecture"))
    if not all(isinstance(value, str) for value in (loader, file, architecture)):
        raise refused("expected loader (a class of nodes), file and architecture (texts)")
    kind = network_kind(loader)
    if kind is None:
        return web.json_response({"labels": []})
    try:
        # Those of a PyTorch file come with all its weights.
        found = await asyncio.to_thread(networks.labels_of, kind, file, architecture)
    except ValueError as fault:
        raise refused(str(fault)) from None
    return web.json_response({"labels": found})
