"""Templates are named, laid out and titled for people; what pages say of them is what they hold."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from guidance_core.shapes.scenes import PALETTE, SHAPES
from tools import thumbnails
from tools.templates import __main__ as templates
from tools.templates import layout, table

NAMES = templates.names()
TOUR = ("start-here", "tour-what", "tour-when", "tour-where")
TIMES = {"twice": 2, "two times": 2, "three times": 3, "four times": 4}


def page_of(key: str) -> dict[str, Any]:
    return json.loads((templates.FOLDER / f"{NAMES[key]}.json").read_text(encoding="utf-8"))


def test_the_table_of_start_values_is_that_of_the_templates():
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.BETWEEN.findall(text) == [table.rows()]


def test_every_template_has_a_page_a_thumbnail_and_an_api_form_and_no_file_is_left_over():
    stems = lambda pattern: {file.stem for file in templates.FOLDER.glob(pattern)}
    assert stems("*.json") == stems("*.jpg") == set(NAMES.values())
    assert stems("api/*.json") == set(NAMES)


def test_names_sort_as_the_gallery_is_meant_and_are_files_on_every_system():
    names = list(NAMES.values())
    assert names == sorted(names)
    assert len(set(map(str.casefold, names))) == len(names)
    for name in names:
        assert re.fullmatch(r"\d\d · [A-Z][\w .,-]+[\w]", name), name
        assert len(name) <= 36, f"{name} is cut off on its card"
        assert name.encode("cp1252"), "what old unzippers of Windows write"


def test_names_of_real_checkpoints_begin_with_the_model_and_no_number_is_taken_twice():
    numbers = [name.partition(" ")[0] for name in NAMES.values()]
    assert len(set(numbers)) == len(numbers)
    for key, (family, _, _) in templates.templates().items():
        assert NAMES[key].partition(" · ")[2].startswith(f"{family.short}, ")


@pytest.mark.parametrize("key", NAMES)
def test_a_template_says_first_what_it_does(key):
    notes = [node for node in page_of(key)["nodes"] if node["type"] == "MarkdownNote"]
    (text,) = (note["widgets_values"][0] for note in notes)
    assert re.match(r"\*\*[^*]+\*\*", text)


@pytest.mark.parametrize("key", NAMES)
def test_no_link_runs_backwards(key):
    page = page_of(key)
    at = {node["id"]: node["pos"] for node in page["nodes"]}
    for _, origin, _, target, *_ in page["links"]:
        (x, y), (to_x, to_y) = at[origin], at[target]
        assert to_x > x or (to_x == x and to_y > y), (origin, target)


@pytest.mark.parametrize("key", TOUR)
def test_a_station_of_the_tour_is_small_and_opens_at_a_readable_zoom(key):
    page = page_of(key)
    assert sum(node["type"] != "MarkdownNote" for node in page["nodes"]) <= 10
    places = [layout.Place(*node["pos"], *node["size"]) for node in page["nodes"]]
    assert layout.fitted(places) >= 0.6
    view = page["extra"]["ds"]
    assert view["scale"] >= layout.READABLE
    width = max(node["pos"][0] + node["size"][0] for node in page["nodes"])
    assert (width + view["offset"][0]) * view["scale"] <= 1366


@pytest.mark.parametrize("key", NAMES)
def test_a_template_begins_where_all_of_its_loaders_are_seen(key):
    page = page_of(key)
    x, y = page["extra"]["ds"]["offset"]
    assert min(node["pos"][0] for node in page["nodes"]) + x > 0
    assert min(node["pos"][1] for node in page["nodes"]) + y > 0


@pytest.mark.parametrize("key", NAMES)
def test_titles_are_true_of_the_values(key):
    prompt = thumbnails.stored(key)
    for number, node in prompt.items():
        assert not untrue(prompt, node), f"{number}: {node['_meta']['title']}"


def untrue(prompt: dict[str, Any], node: dict[str, Any]) -> str:
    """What of a node's title does not fit its values, if anything."""
    title, values = node["_meta"]["title"], node["inputs"]
    numbers = [value for value in values.values() if isinstance(value, (int, float))]
    if ("(empty)" in title) > (values.get("text") == ""):
        return "empty"
    for percent in re.findall(r"(\d+)(?: to \d+)? %", title):
        if not any(abs(100 * number - int(percent)) < 0.5 for number in numbers):
            return percent
    for word, times in TIMES.items():
        if word in title and times not in numbers:
            return word
    if title.startswith("Words: "):
        words = re.split(r"[,\n]\s*", values["words"])
        return "" if ", ".join(words) == title.removeprefix("Words: ") else "words"
    if not node["class_type"].startswith("EG"):
        return ""
    said = json.dumps([values, *(prompt[link[0]]["inputs"] for link in links(values))])
    named = set(re.findall(r"\w+", title.lower())) & {*PALETTE, *SHAPES}
    return " ".join(word for word in named if word not in said)


def links(values: dict[str, Any]) -> list[list[Any]]:
    return [value for value in values.values() if isinstance(value, list)]


@pytest.mark.parametrize(
    ("title", "values"),
    [
        ("Prompt (empty)", {"text": "a circle"}),
        ("First 50 %", {"start_percent": 0.0, "end_percent": 0.9}),
        ("The early steps three times", {"recurrences": 2}),
        ("Words: red", {"words": "circle"}),
        ("Energy: something red", {"label": "blue"}),
    ],
)
def test_a_title_that_is_not_true_is_seen(title, values):
    assert untrue({}, {"class_type": "EGToy", "_meta": {"title": title}, "inputs": values})


def test_unguided_is_the_same_prompt_with_every_strength_zero():
    prompt = thumbnails.stored("classifier-guided")
    changed = thumbnails.unguided(prompt)
    assert prompt == thumbnails.stored("classifier-guided")
    for key, node in prompt.items():
        wanted = {"strength": 0.0} if "strength" in node["inputs"] else {}
        assert changed[key]["inputs"] == {**node["inputs"], **wanted}
    start = thumbnails.unguided(thumbnails.stored("start-here"))
    assert [n["inputs"]["amount"] for n in start.values() if "amount" in n["inputs"]] == [0.0]
