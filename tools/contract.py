"""What saved workflows rely on: every released node with its inputs, in order, and its outputs.

    python -m tools.contract

writes new nodes, inputs and outputs into tests/host/contract.json, as a release does. It refuses
where something that stands there already would change: a released node keeps what it promised.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tools import hosts, object_info

FILE = hosts.CHECKOUT / "tests" / "host" / "contract.json"
# control_after_generate puts a second widget behind the first.
KEPT = ("type", "optional", "default", "control_after_generate")
# The ones whose values travel in a workflow, by their order.
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def stored() -> dict[str, Any]:
    """The contract: by node, `inputs` (name to facts) and `outputs` (type and name)."""
    nodes: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return nodes


def promises(nodes: dict[str, Any]) -> dict[str, Any]:
    """What the nodes of an /object_info promise, in the form of the contract."""
    return {name: _promise(node) for name, node in sorted(nodes.items())}


def _promise(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "inputs": {
            name: _facts(*spec, optional=part == "optional")
            for part in ("required", "optional")
            for name, spec in node["input"].get(part, {}).items()
        },
        "outputs": [list(pair) for pair in zip(node["output"], node["output_name"], strict=True)],
    }


def _facts(kind: str, options: dict[str, Any], *, optional: bool) -> dict[str, Any]:
    names = ("default", "min", "max", "options", "control_after_generate")
    facts = {name: options[name] for name in names if name in options}
    if "options" in facts:
        # "(no file in ...)" stands for an empty list and is no choice.
        facts["options"] = [choice for choice in facts["options"] if not choice.startswith("(")]
        if facts["default"] not in facts["options"]:
            del facts["default"]
    return {"type": kind, "optional": optional, **facts}


def breaches(old: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What of the old promises no longer holds; more nodes, inputs and outputs break nothing."""
    found = []
    for name, node in old.items():
        if name not in now:
            found.append(f"{name} is gone")
            continue
        found += [f"{name}: {fault}" for fault in _node_breaches(node, now[name])]
    return found


def _node_breaches(old: dict[str, Any], now: dict[str, Any]) -> list[str]:
    found = []
    for name, facts in old["inputs"].items():
        if name not in now["inputs"]:
            found.append(f"input {name} is gone")
        else:
            found += [f"{name}: {fault}" for fault in _input_breaches(facts, now["inputs"][name])]
    found += [
        f"new required input {name}: saved prompts lack it, make it optional"
        for name, facts in now["inputs"].items()
        if name not in old["inputs"] and not facts["optional"]
    ]
    before, after = _widgets(old), _widgets(now)
    if not found and after[: len(before)] != before:
        found.append(f"widgets must begin with {before}, got {after}")
    if now["outputs"][: len(old["outputs"])] != old["outputs"]:
        found.append(f"outputs must begin with {old['outputs']}, got {now['outputs']}")
    return found


def _input_breaches(old: dict[str, Any], now: dict[str, Any]) -> list[str]:
    found = [
        f"{fact} was {old[fact]!r}, is {now.get(fact)!r}"
        for fact in KEPT
        if fact in old and old[fact] != now.get(fact)
    ]
    missing = [choice for choice in old.get("options", ()) if choice not in now.get("options", ())]
    if missing:
        found.append(f"no longer offers {missing}")
    if now.get("min", 0) > old.get("min", 0) or now.get("max", 0) < old.get("max", 0):
        found.append(f"narrower than {old['min']} to {old['max']}")
    return found


def _widgets(node: dict[str, Any]) -> list[str]:
    return [name for name, facts in node["inputs"].items() if facts["type"] in WIDGETS]


def text_of(nodes: dict[str, Any]) -> str:
    """The file's text: a line for each input, so that a change shows as one."""
    return "{\n" + ",\n".join(_node_text(name, node) for name, node in nodes.items()) + "\n}\n"


def _node_text(name: str, node: dict[str, Any]) -> str:
    inputs = [f"   {json.dumps(key)}: {json.dumps(fact)}" for key, fact in node["inputs"].items()]
    listed = "{\n" + ",\n".join(inputs) + "\n  }" if inputs else "{}"
    outputs = json.dumps(node["outputs"])
    return f' {json.dumps(name)}: {{\n  "inputs": {listed},\n  "outputs": {outputs}\n }}'


def main() -> int:
    """Bring the contract up to date; 1 where that would break it."""
    # The oldest host has the shortest lists of samplers, which the others contain.
    old, now = stored(), promises(object_info.of(hosts.find()[-1]))
    broken = breaches(old, now)
    print("\n".join(broken) or f"{len(now)} nodes, {len(now.keys() - old.keys())} of them new")
    if not broken:
        FILE.write_text(text_of(now), encoding="utf-8")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
