"""The promise to saved workflows: what breaks it is named, what only adds to it is not."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tools import contract

WEIGHT = {"type": "FLOAT", "optional": False, "default": 1.0, "min": 0.0, "max": 2.0}
LOSS = {"type": "COMBO", "optional": False, "default": "l2", "options": ["l2", "l1"]}
SEED = {"type": "INT", "optional": False, "default": 0, "control_after_generate": True}
MASK = {"type": "MASK", "optional": True}
NODE = {
    "inputs": {"weight": WEIGHT, "loss": LOSS, "seed": SEED, "mask": MASK},
    "outputs": [["GUIDANCE_ENERGY", "energy"]],
}


def changed(change: Callable[[dict[str, Any]], Any]) -> list[str]:
    now = {"EGNode": deepcopy(NODE)}
    change(now)
    return contract.breaches({"EGNode": NODE}, now)


def inputs_of(now: dict[str, Any]) -> dict[str, Any]:
    return now["EGNode"]["inputs"]


def reordered(now: dict[str, Any]) -> None:
    inputs = inputs_of(now)
    inputs["weight"] = inputs.pop("weight")


BREAKING = {
    "EGNode is gone": lambda now: now.clear(),
    "input weight is gone": lambda now: inputs_of(now).pop("weight"),
    "type was": lambda now: inputs_of(now)["weight"].update(type="INT"),
    "default was 1.0, is 0.5": lambda now: inputs_of(now)["weight"].update(default=0.5),
    "optional was True": lambda now: inputs_of(now)["mask"].update(optional=False),
    "control_after_generate was": lambda now: inputs_of(now)["seed"].pop("control_after_generate"),
    "no longer offers ['l1']": lambda now: inputs_of(now)["loss"].update(options=["l2"]),
    "narrower than 0.0 to 2.0": lambda now: inputs_of(now)["weight"].update(max=1.0),
    "widgets must begin": reordered,
    "new required input x": lambda now: inputs_of(now).update(x={**WEIGHT}),
    "outputs must begin": lambda now: now["EGNode"]["outputs"].insert(0, ["MASK", "mask"]),
}
HARMLESS = {
    "a new node": lambda now: now.update(EGOther=NODE),
    "a new choice": lambda now: inputs_of(now)["loss"].update(options=["l2", "l0", "l1"]),
    "a wider range": lambda now: inputs_of(now)["weight"].update(max=9.0),
    "a new optional input": lambda now: inputs_of(now).update(x={**WEIGHT, "optional": True}),
    "a new output": lambda now: now["EGNode"]["outputs"].append(["MASK", "mask"]),
}


@pytest.mark.parametrize("fault", BREAKING)
def test_what_breaks_a_saved_workflow_is_named(fault: str) -> None:
    (found,) = changed(BREAKING[fault])
    assert fault in found


@pytest.mark.parametrize("change", HARMLESS)
def test_what_only_adds_is_no_breach(change: str) -> None:
    assert not changed(HARMLESS[change])


def test_the_stored_contract_is_in_the_form_that_the_command_writes() -> None:
    stored = contract.stored()
    assert contract.FILE.read_text(encoding="utf-8") == contract.text_of(stored)
    assert len(stored) >= 51
    assert not contract.breaches(stored, stored)


def test_a_promise_is_read_from_what_the_host_tells() -> None:
    files = {"tooltip": "t", "default": "(no file)", "options": ["(no file)"]}
    node = {
        "input": {
            "required": {
                "weight": ["FLOAT", {"default": 1.0, "min": 0.0, "max": 2.0, "step": 0.1}],
                "file": ["COMBO", files],
            },
            "optional": {"mask": ["MASK", {"tooltip": "t"}]},
        },
        "output": ["GUIDANCE_ENERGY"],
        "output_name": ["energy"],
    }
    file = {"type": "COMBO", "optional": False, "options": []}
    assert contract.promises({"EGNode": node})["EGNode"] == {
        "inputs": {"weight": WEIGHT, "file": file, "mask": MASK},
        "outputs": [["GUIDANCE_ENERGY", "energy"]],
    }
