"""Help pages of nodes: what each must have. That every node has one, the host's tests say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import help_pages
from tools.templates import __main__ as templates

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "web" / "docs"
KEYS = templates.names()  # names of templates by their keys
PAGES = sorted(FOLDER.glob("*.md"))
NO_PICTURE = "no picture to show"
PICTURE = re.compile(r"!\[([^\]]+)\]\(([^)]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_a_source_whole_tables_and_a_picture_that_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "\n## Source\n" in text
    # A blank line would end a table: its other rows would show as text.
    assert not re.search(r"\n\|[^\n]*\n\n\|(?! ?-)(?![^\n]*\n\| ?-)", text)
    pictures = PICTURE.findall(text)
    assert pictures or NO_PICTURE in text
    for _, file in pictures:
        assert (FOLDER / file).is_file(), file


ORDER = ("Inputs", "Outputs", "Editor", "Recipe", "Source")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_its_sections_in_order_and_a_numbered_recipe(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    sections = [part for part in re.findall(r"^## (.*)$", text, re.MULTILINE) if part in ORDER]
    assert sections == [part for part in ORDER if part in sections]
    assert {"Inputs", "Recipe", "Source"} <= set(sections)
    assert re.search(r"^1\. ", text.partition("## Recipe\n")[2], re.MULTILINE)


def test_pictures_are_used_and_those_of_examples_are_their_thumbnails() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    files = sorted(path.name for path in FOLDER.glob("*.jpg"))
    assert files == sorted({file for _, file in PICTURE.findall(text)})
    for name in files:
        example = CHECKOUT / "example_workflows" / f"{KEYS.get(Path(name).stem)}.jpg"
        assert not example.exists() or example.read_bytes() == (FOLDER / name).read_bytes(), name


def test_templates_are_called_as_the_gallery_calls_them() -> None:
    files = [*PAGES, *CHECKOUT.glob("docs/*.md"), CHECKOUT / "README.md"]
    texts = {file.name: file.read_text(encoding="utf-8") for file in files}
    for name, text in texts.items():
        for title, key in re.findall(r"!\[Template ([^\]]+)\]\(([\w-]+)\.jpg\)", text):
            assert title == KEYS[key], name
        mentioned = set(re.findall(r"\b\d\d · [^*\]|\n]+(?=[*\]|])", text))
        assert mentioned <= set(KEYS.values()), name


NODE = {
    "display_name": "Energy: Toy",
    "description": "Moves the toy.",
    "python_module": "energy_guidance.nodes.energies.style",
    "input": {
        "required": {
            "network": ["GUIDE_NETWORK", {"tooltip": "Which one."}],
            "share": ["FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "tooltip": "a | b."}],
            "seed": ["INT", {"default": 0, "min": 0, "max": 2**64 - 1, "tooltip": "Its seed."}],
            "loss": ["COMBO", {"default": "l2", "options": ["l2"], "tooltip": "Which."}],
            "grey": ["BOOLEAN", {"default": False, "tooltip": "Whether."}],
        },
        "optional": {"mask": ["MASK", {"tooltip": "Where."}]},
    },
    "output_name": ["energy"],
    "output_tooltips": ["For a rule."],
}
INPUTS = """\
| name | default | what it does |
|---|---|---|
| network | required | Which one. |
| share | 0.5 (0 to 1) | a \\| b. |
| seed | 0 | Its seed. |
| loss | `l2` | Which. |
| grey | off | Whether. |
| mask | optional | Where. |
"""
OUTPUTS = "| name | what it is |\n|---|---|\n| energy | For a rule. |\n"


def test_tables_are_replaced_and_prose_is_kept() -> None:
    page = (
        "# Toy\n\n## Inputs\n\n{}\nProse.\n\n| a | b |\n|---|---|\n\n## Outputs\n\n{}\n## Source\n"
    )
    old = page.format("| name |\n|---|\n| gone |\n", "| name |\n|---|\n")
    assert help_pages.with_tables(old, NODE) == page.format(INPUTS, OUTPUTS)
    assert help_pages.with_tables(page.format("", ""), NODE) == page.format(INPUTS, OUTPUTS)
    with pytest.raises(ValueError, match="## Inputs"):
        help_pages.with_tables("# Toy\n", NODE)


def test_a_node_without_a_page_gets_one_with_the_references_of_its_energy() -> None:
    page = help_pages.stub(NODE)
    assert page.startswith("# Energy: Toy\n\nMoves the toy.\n")
    assert f"\n## Inputs\n\n{INPUTS}\n## Recipe\n" in page
    assert "\n## Source\n\n" in page
    assert "arXiv:" in page.partition("## Source")[2]
    assert help_pages.with_tables(page, NODE) == page
    assert NO_PICTURE in page
    plain = {**NODE, "python_module": "energy_guidance.nodes.loaders.toy"}
    assert help_pages.NO_SOURCE in help_pages.stub(plain)
