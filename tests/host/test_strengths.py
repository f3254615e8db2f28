"""docs/strengths.md is what the nodes, the README, the help pages, blueprints and templates say."""

from __future__ import annotations

import json
import re

import pytest
from energy_guidance.nodes.start import (
    fix_missing_objects,
    guide_with_image,
    guide_with_text,
    keep_from_image,
    place_words,
)
from energy_guidance.tests.host.server import CHECKOUT

from tools.templates.tasks import TASKS

PAGE = (CHECKOUT / "docs" / "strengths.md").read_text(encoding="utf-8")
NUMBER = r"\d+(?:\.\d+)?"
HELP = {
    "Guide with Text": "EGGuideWithText",
    "Guide with Image": "EGGuideWithImage",
    "Keep from Image": "EGKeepFromImage",
    "Place Words in Boxes": "EGPlaceWords",
    "Fix Missing Objects": "EGFixMissingObjects",
}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


ROWS = {
    row[1]: row for row in map(cells, PAGE.split("|---", 1)[1].split("\n\n", 1)[0].splitlines()[1:])
}


def said(name: str) -> tuple[float, float, float, bool, int]:
    """Strength, start, end, whether it falls, and recurrences that the page gives a start."""
    _, _, _, rule, acts, recurrences = ROWS[name]
    start, end = re.findall(NUMBER, acts)
    strength = re.findall(NUMBER, rule)[-1]
    return float(strength), float(start), float(end), "falling" in acts, int(recurrences)


def by_window(medium, window, recurrences):
    falling = window.curve == "linear_down"
    assert falling or window.curve == "constant"
    return medium, window.start_percent, window.end_percent, falling, recurrences


def by_default(node, name):
    return next(one.default for one in node.define_schema().inputs if one.id == name)


def nodes() -> dict[str, tuple[float, float, float, bool, int]]:
    image, keep = guide_with_image.GuideWithImage, keep_from_image.KeepFromImage
    text = guide_with_text.GuideWithText
    folded = lambda node: (
        *(by_default(node, "start_percent"), by_default(node, "end_percent"), False),
        by_default(node, "recurrences"),
    )
    return {
        "Guide with Text": (guide_with_text.MEDIUM, *folded(text)),
        **{
            f"Guide with Image: {name}": (one.medium, *folded(image))
            for name, one in guide_with_image.COPIED.items()
        },
        **{
            f"Keep from Image: {name}": by_window(
                one.medium, one.window, by_default(keep, "recurrences")
            )
            for name, one in keep_from_image.KEPT.items()
        },
        "Place Words in Boxes": by_window(
            place_words.MEDIUM,
            place_words.WINDOW,
            by_default(place_words.PlaceWords, "recurrences"),
        ),
        "Fix Missing Objects": by_window(
            1.0,
            fix_missing_objects.WINDOW,
            by_default(fix_missing_objects.FixMissingObjects, "recurrences"),
        ),
    }


def test_every_start_has_its_row_and_says_the_same():
    assert nodes() == {name: said(name) for name in ROWS}


@pytest.mark.parametrize("name", ROWS)
def test_the_readme_says_the_same_of_the_energy(name):
    _, _, by_hand, rule, _, _ = ROWS[name]
    if not by_hand.startswith("Energy: "):
        return
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    (advice,) = (cells(line)[3] for line in readme.splitlines() if f"| {by_hand} |" in line)
    assert re.findall(NUMBER, advice)[-1] == re.findall(NUMBER, rule)[-1]
    assert advice.split(",")[0].split()[0] == rule.split()[0]


@pytest.mark.parametrize("name", ROWS)
def test_the_help_page_names_the_strength(name):
    file = CHECKOUT / "web" / "docs" / f"{HELP[name.partition(':')[0]]}.md"
    told = file.read_text(encoding="utf-8").partition("## Recipe")[2]
    strength, _, end, falling, _ = said(name)
    if name != "Fix Missing Objects":
        assert re.search(rf"(?<![\d.]){strength:g}(?![\d]|\.\d)", told)
    if falling and end < 1:
        assert f"{end:.0%}".replace("%", " %") in told


@pytest.mark.parametrize(
    "file", sorted((CHECKOUT / "subgraphs").glob("*.json")), ids=lambda file: file.stem
)
def test_blueprints_of_starts_begin_at_medium(file):
    (inside,) = json.loads(file.read_text(encoding="utf-8"))["definitions"]["subgraphs"]
    for node in inside["nodes"]:
        names = [one["name"] for one in node["inputs"] if one.get("widget")]
        if "amount" in names:
            values = dict(zip(names, node["widgets_values"], strict=True))
            assert (values["strength"], values["amount"]) == ("medium", 1.0)


def test_templates_of_real_checkpoints_place_words_as_the_node_does():
    (task,) = (task for task in TASKS if task.key == "place-words")
    strength, _, end, _, _ = said("Place Words in Boxes")
    assert tuple(task.usual) == (strength, end)


def test_the_page_names_where_templates_begin_with_a_sentence():
    (task,) = (task for task in TASKS if task.key == "guide-by-text")
    usual, few = task.usual, task.few
    told = f"begin with a sentence at {usual.strength:g} until {usual.end:g}, and with"
    assert f"{told} {few.strength:g} in few steps" in PAGE
