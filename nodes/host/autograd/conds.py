"""The host's conds: made fit for autograd, split into branches, searched for ControlNets."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from .weights import normal


def normal_conds(conds: list[Any]) -> list[Any]:
    """Return conds whose tensors autograd may save; the host's own are left alone."""
    return [None if cond is None else [_normal_cond(part) for part in cond] for cond in conds]


def _normal_cond(cond: dict[str, Any]) -> dict[str, Any]:
    cond = normal(cond)
    settled = {}
    for name, part in cond.get("model_conds", {}).items():
        settled[name] = copy.copy(part)
        settled[name].cond = normal(part.cond)
    return {**cond, "model_conds": settled}


def controls_of(conds: list[Any]) -> list[Any]:
    """Return the ControlNets of conds, chained ones too, each once."""
    found: dict[int, Any] = {}
    for part in (part for cond in conds if cond is not None for part in cond):
        control = part.get("control")
        while control is not None:
            found[id(control)] = control
            control = control.previous_controlnet
    return list(found.values())


def networks_of(controls: list[Any]) -> list[nn.Module]:
    """Return the networks of ControlNets, whose hints autograd may save from here on."""
    for control in controls:
        if getattr(control, "cond_hint", None) is not None:
            control.cond_hint = normal(control.cond_hint)
    parts = [part for control in controls for part in vars(control).values()]
    return [part for part in parts if isinstance(part, nn.Module)]


def only(conds: list[Any], wanted: list[bool]) -> list[Any]:
    """Return conds with those that are not wanted left out, at their places."""
    return [cond if flag else None for cond, flag in zip(conds, wanted, strict=True)]
