"""Help pages of nodes: what each must have. That every node has one, the host's tests say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "web" / "docs"
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


def test_pictures_are_used_and_those_of_examples_are_their_thumbnails() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    files = sorted(path.name for path in FOLDER.glob("*.jpg"))
    assert files == sorted({file for _, file in PICTURE.findall(text)})
    for name in files:
        example = CHECKOUT / "example_workflows" / name
        assert not example.exists() or example.read_bytes() == (FOLDER / name).read_bytes(), name
