"""The list of nodes that ComfyUI asks for."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import (
    attention_keep,
    attention_looks,
    attention_places,
    attention_words,
    combinators,
    diagnostics,
    editing,
    energies,
    guide_loaders,
    guides_layout,
    guides_measured,
    guides_pixels,
    guides_reference,
    guides_seen,
    inversion,
    ksampler,
    loaders,
    rules,
    rules_published,
    rules_unified,
    sampling,
    schedules,
    tokens,
    tuning,
)
from .host import routes

MODULES = (
    attention_keep,
    attention_looks,
    attention_places,
    attention_words,
    combinators,
    diagnostics,
    editing,
    energies,
    guide_loaders,
    guides_layout,
    guides_measured,
    guides_pixels,
    guides_reference,
    guides_seen,
    inversion,
    ksampler,
    loaders,
    rules,
    rules_published,
    rules_unified,
    sampling,
    schedules,
    tokens,
    tuning,
)


class EnergyGuidance(ComfyExtension):
    """The pack as ComfyUI sees it."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node class of the pack, once the pack's browser part will be answered."""
        # Not in on_load, which ComfyUI 0.3 never calls.
        routes.register()
        return [node for module in MODULES for node in module.NODES]
