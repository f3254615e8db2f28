"""Energy Guidance: steer any stock ComfyUI sampler by the gradient of an energy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> ComfyExtension:
    """Called by ComfyUI once, when it loads the pack."""
    from .nodes.extension import EnergyGuidance

    return EnergyGuidance()
