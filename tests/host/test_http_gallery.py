"""The gallery on a real server: names, files and thumbnails of the templates with Shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from energy_guidance.tests.host.server import CHECKOUT, PACK, Server

from tools import thumbnails
from tools.templates import __main__ as templates
from tools.templates.gallery import EXAMPLES

FOLDER = CHECKOUT / "example_workflows"
NAMES = templates.names()


@pytest.fixture(scope="module")
def info(server: Server) -> dict[str, Any]:
    """/object_info."""
    return server.get("/object_info").json()


def test_every_template_is_served_under_its_name(server: Server) -> None:
    assert sorted(server.get("/workflow_templates").json()[PACK]) == sorted(NAMES.values())
    for name in NAMES.values():
        for ending in ("json", "jpg"):
            file = FOLDER / f"{name}.{ending}"
            answer = server.get(f"/api/workflow_templates/{PACK}/{name}.{ending}")
            assert answer.content == file.read_bytes()


@pytest.mark.parametrize("key", EXAMPLES)
def test_the_files_are_what_the_tool_writes(info: dict[str, Any], key: str) -> None:
    page, api = templates.forms(key, info)
    stored = lambda file: json.loads(file.read_text(encoding="utf-8"))
    untitled = lambda prompt: {k: {**node, "_meta": None} for k, node in prompt.items()}
    assert untitled(stored(FOLDER / "api" / f"{key}.json")) == untitled(api)
    if "Flux2Scheduler" in info:  # older ones list fewer inputs, and other names of nodes
        assert stored(FOLDER / f"{NAMES[key]}.json") == page


def test_no_template_uses_a_node_that_is_deprecated_or_experimental(info: dict[str, Any]) -> None:
    for key in NAMES:
        for node in thumbnails.stored(key).values():
            about = info.get(node["class_type"])  # a family may be younger than this ComfyUI
            assert not (about and about.get("deprecated")), (key, node["class_type"])
            assert not (about and "[DEPR" in str(about["display_name"])), (key, node["class_type"])
