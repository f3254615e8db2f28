"""What the server and its web page are told about the pack is complete and in step."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import sys
import warnings

import pytest
from energy_guidance.tests.host.server import CHECKOUT, PACK, Server

from tools import contract, help_pages, locales
from tools.templates import __main__ as templates

LANGUAGES = ("en", "ko")
RELEASED = contract.stored()
REGENERATE = "run make locales"
NAMES = templates.names()


def test_released_nodes_keep_what_saved_workflows_rely_on(nodes: dict) -> None:
    assert not contract.breaches(RELEASED, contract.promises(nodes))


def test_everything_has_a_tooltip(nodes: dict) -> None:
    for name, node in nodes.items():
        assert node["description"], name
        for key, spec in help_pages.inputs(node).items():
            assert len(spec[1].get("tooltip", "")) > 10, f"{name}.{key}"
        assert all(node["output_tooltips"]), name


def test_numbers_have_ranges_that_hold_their_defaults(nodes: dict) -> None:
    for name, node in nodes.items():
        for key, (kind, options) in help_pages.inputs(node).items():
            if kind in ("INT", "FLOAT"):
                assert options["min"] <= options["default"] <= options["max"], f"{name}.{key}"


def test_english_is_what_the_nodes_say(nodes: dict) -> None:
    written = locales.of("en")
    assert written.keys() >= RELEASED.keys()
    current = locales.definitions(nodes)
    assert written == {name: current.get(name) for name in written}, REGENERATE


@pytest.mark.parametrize("language", LANGUAGES)
def test_language_says_all_of_released_nodes_and_nothing_of_others(
    server: Server, nodes: dict, language: str
) -> None:
    own, current = locales.of(language), locales.definitions(nodes)
    assert not locales.missing(current, own), "of no node, input or output"
    lacking = locales.missing(own, current)
    if lacking:
        warnings.warn(f"{language} lacks: {', '.join(lacking)}", stacklevel=1)
    assert not [name for name in lacking if name.split(".")[0] in own.keys() | RELEASED.keys()]
    assert server.get("/i18n").json()[language]["nodeDefs"].items() >= own.items()


@pytest.mark.parametrize("language", LANGUAGES)
def test_categories_and_sockets_are_translated(nodes: dict, language: str) -> None:
    main, english = locales.of(language, "main.json"), locales.of("en", "main.json")
    assert not locales.missing(main, english)
    assert not locales.missing(english, main)
    parts = {part for node in nodes.values() for part in node["category"].split("/")} - {"loaders"}
    assert parts == set(main["nodeCategories"])
    kinds = {kind for node in nodes.values() for kind in node["output"]}
    sockets = {kind for kind in kinds if kind.startswith(("GUIDANCE_", "GUIDE_"))}
    assert sockets == set(main["dataTypes"])


def test_every_released_node_has_a_help_page(server: Server, nodes: dict) -> None:
    for name in RELEASED:
        page = server.get(f"/extensions/{PACK}/docs/{name}.md").text
        assert page.startswith(f"# {nodes[name]['display_name']}\n"), name
        for part in ("## Inputs", "## Recipe", "## Source"):
            assert part in page, f"{name}: {part}"


def test_help_pages_list_the_inputs_that_nodes_have(nodes: dict) -> None:
    for file in help_pages.FOLDER.glob("*.md"):
        assert file.stem in nodes, f"{file} is the page of no node"
        page = file.read_text(encoding="utf-8")
        assert page == help_pages.with_tables(page, nodes[file.stem]), f"{file.stem}: {REGENERATE}"


@pytest.mark.parametrize("name", NAMES)
def test_page_and_api_forms_of_an_example_agree(nodes: dict, name: str) -> None:
    folder = CHECKOUT / "example_workflows"
    page = json.loads((folder / f"{NAMES[name]}.json").read_text(encoding="utf-8"))
    prompt = json.loads((folder / "api" / f"{name}.json").read_text(encoding="utf-8"))
    drawn = {str(node["id"]): node for node in page["nodes"] if node["type"] != "MarkdownNote"}
    assert {key: node["type"] for key, node in drawn.items()} == {
        key: node["class_type"] for key, node in prompt.items()
    }
    for key, node in prompt.items():
        links = {k: v for k, v in node["inputs"].items() if isinstance(v, list)}
        assert linked(page, drawn[key]) == links
        values = [v for k, v in node["inputs"].items() if not isinstance(v, list)]
        # A widget that a link stands in for keeps a value of its own.
        sockets = drawn[key].get("inputs", [])
        idle = [""] * sum("widget" in one and one.get("link") is not None for one in sockets)
        shown = [v for v in drawn[key].get("widgets_values") or [] if v not in CONTROLS]
        assert shown == idle + in_order(nodes, node, values)


CONTROLS = ("fixed", "randomize", "image")


def in_order(nodes: dict, node: dict, values: list) -> list:
    """Widget values in the order of the node's widgets, where the node is one of ours."""
    if node["class_type"] not in nodes:
        return values
    names = [
        name for name in help_pages.inputs(nodes[node["class_type"]]) if name in node["inputs"]
    ]
    return [node["inputs"][name] for name in names if not isinstance(node["inputs"][name], list)]


def linked(page: dict, node: dict) -> dict:
    """Links into a node as in the API form."""
    origins = {link[0]: [str(link[1]), link[2]] for link in page["links"]}
    sockets = [socket for socket in node.get("inputs", []) if socket.get("link") is not None]
    return {socket["name"]: origins[socket["link"]] for socket in sockets}


def test_pack_starts_without_any_package_that_the_host_has_not_loaded() -> None:
    parts = ("comfy.sd", "comfy.sample", "comfy_api.latest", "folder_paths", "latent_preview")
    for part in (*parts, "server"):
        importlib.import_module(part)  # the server has these before it looks for packs
    before = set(sys.modules)
    path = CHECKOUT / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        "fresh", path, submodule_search_locations=[str(CHECKOUT)]
    )
    pack = importlib.util.module_from_spec(spec)
    sys.modules["fresh"] = pack
    spec.loader.exec_module(pack)
    found = asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())
    schemas = [node.GET_SCHEMA() for node in found]
    assert {schema.node_id for schema in schemas} >= RELEASED.keys()
    loaded = {name.split(".")[0] for name in set(sys.modules) - before}
    # What it costs is measured by `make bench-start`.
    assert loaded - sys.stdlib_module_names == {"fresh"}


def test_host_names_the_pack_among_those_it_loaded(server: Server) -> None:
    log = server.log.read_text(encoding="utf-8")
    assert re.search(rf"[\d.]+ seconds: .*{PACK}", log), log[-2000:]
