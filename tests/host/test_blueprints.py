"""Subgraph blueprints that the pack ships: the host lists them, and their parts fit its nodes."""

from __future__ import annotations

import json

import pytest
import requests
from energy_guidance.tests.host.server import CHECKOUT, PACK, Server

FILES = sorted((CHECKOUT / "subgraphs").glob("*.json"))
NAMES = [file.stem for file in FILES]
INNER, OUTER = -10, -20  # ids of a subgraph's own inputs and outputs


@pytest.fixture(scope="session")
def listed(server: Server) -> dict:
    """The pack's entries of the host's list, by name."""
    answer = requests.get(f"http://{server.address}/global_subgraphs", timeout=60)
    if answer.status_code == 404:
        pytest.skip("this ComfyUI has no blueprints yet")
    return {
        entry["name"]: (key, entry)
        for key, entry in answer.json().items()
        if entry["info"]["node_pack"] == f"custom_nodes.{PACK}"
    }


def test_the_host_lists_every_blueprint(listed: dict) -> None:
    assert sorted(listed) == NAMES
    assert len(NAMES) >= 2


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_the_host_serves_what_the_file_says(server: Server, listed: dict, file) -> None:
    key, _ = listed[file.stem]
    data = json.loads(server.get(f"/global_subgraphs/{key}").json()["data"])
    assert data == json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_links_and_widgets_fit_the_nodes_of_the_host(server: Server, file) -> None:
    known = server.get("/object_info").json()
    data = json.loads(file.read_text(encoding="utf-8"))
    (outside,), (inside,) = data["nodes"], data["definitions"]["subgraphs"]
    assert outside["type"] == inside["id"]
    assert outside["title"] == inside["name"] == file.stem
    assert inside["description"]
    nodes = {node["id"]: node for node in inside["nodes"]}
    for node in nodes.values():
        info = known[node["type"]]
        inputs = {**info["input"]["required"], **info["input"].get("optional", {})}
        assert {socket["name"] for socket in node["inputs"]} <= set(inputs), node["type"]
        assert [out["type"] for out in node["outputs"]] == info["output"], node["type"]
    for link in inside["links"]:
        origin, slot, goal, place = (
            link[name] for name in ("origin_id", "origin_slot", "target_id", "target_slot")
        )
        ways_in = inside["inputs"] if origin == INNER else nodes[origin]["outputs"]
        ways_out = inside["outputs"] if goal == OUTER else nodes[goal]["inputs"]
        assert ways_in[slot]["type"] == ways_out[place]["type"] == link["type"]
        ends = ways_out[place].get("linkIds") or [ways_out[place].get("link")]
        assert link["id"] in ends
    for key, widget in outside["properties"]["proxyWidgets"]:
        names = {socket["name"] for socket in nodes[int(key)]["inputs"]}
        assert widget in names | {"control_after_generate"}
    assert [one["name"] for one in outside["inputs"]] == [one["name"] for one in inside["inputs"]]
