"""Pages of the repository point at what exists, and the README stays one page."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from tools import contract

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("assets/**/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FOLDERS = "assets|bench|docs|example_workflows|guidance_core|locales|nodes|tests|tools|web"
# Paths of this repository in back ticks or in a diagram; <name> and * stand for any.
PATH = re.compile(rf"(?<![\w./])((?:{FOLDERS})/[\w./<>*-]*)")
LONGEST_README = 130


def prose(page: Path) -> str:
    """A page without its code, diagrams aside: code of examples names what the reader writes."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"```(?!mermaid).*?```", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_point_at_what_exists(name):
    page = ROOT / name
    for link in LINK.findall(prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{name} links to the heading {link}"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "CHANGELOG.md"])
def test_files_that_are_named_exist(name):
    for path in PATH.findall(prose(ROOT / name)):
        pattern = re.sub(r"<\w+>", "*", path).rstrip("./")
        assert any(ROOT.glob(pattern)), f"{name} names {path}"


def test_the_readme_is_one_page():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_README


def test_the_index_lists_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / link).resolve() for link in LINK.findall(index)}
    assert set((ROOT / "docs").rglob("*.md")) - linked == {ROOT / "docs" / "README.md"}


def is_new(file):
    """Whether a file belongs to a node that no release has, which still may lack its BibTeX."""
    node = ROOT / "nodes" / file.parent.name / file.name
    ids = re.findall(r'"(EG\w+)"', node.read_text(encoding="utf-8")) if node.exists() else []
    return bool(ids) and not set(ids) & contract.stored().keys()


def test_every_paper_of_a_docstring_has_its_bibtex():
    known = set(re.findall(r"eprint=\{([\d.]+)\}", (ROOT / "docs" / "references.md").read_text()))
    named = set()
    for folder in ("guidance_core", "nodes"):
        for file in (ROOT / folder).rglob("*.py"):
            if is_new(file):
                continue
            named |= set(re.findall(r"arXiv:(\d{4}\.\d{5})", file.read_text(encoding="utf-8")))
    assert named - known == set()


def test_the_example_without_comfyui_imports_what_exists():
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
