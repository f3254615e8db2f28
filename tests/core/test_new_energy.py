"""Adding an energy takes four edits: the command's stubs, and the page that fills them in.

tests/host/test_http_new_energy.py asks the same of the host's part.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import new_energy as added
from tools import new_energy

ALL = [
    *("tests/core/test_energies.py", "tests/core/test_imports.py", "tests/core/test_help.py"),
    *("tests/core/test_links.py", "tests/core/test_archive.py", "tests/core/test_contract.py"),
]
# Of the other energies nothing has changed, and the example of docs/python.md imports diffusers.
CHOSEN = "spread or not (test_energies or without_comfyui)"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with the stubs of the energy `spread`, not filled in."""
    reason = added.reason_to_skip()
    if reason:
        pytest.skip(reason)
    return added.with_stubs(tmp_path_factory.mktemp("core"))


def test_stubs_fail_and_what_the_page_makes_of_them_passes(copy: Path) -> None:
    """The tests below are those that look at energies, at imports or at pages as such.

    No other test of the core lists files of a room or knows an energy that it does not name, so
    that none of them can tell that there is one more.
    """
    assert added.touched(copy) == added.FOUR
    stub = added.run(copy, "-m", "pytest", "-q", "tests/core/test_energies.py", "-k", "spread")
    assert "TODO" in stub.stdout
    assert stub.returncode == 1
    kept = {file: lines(copy / file) for file in (added.CORE, added.NODE)}
    added.filled_in(copy)
    assert added.touched(copy) == added.FOUR
    for file, stubs in kept.items():
        rest = iter(lines(copy / file))
        # What is no TODO of the stub stands in the page, in the same order.
        assert not [line for line in stubs if "TODO" not in line and line not in rest]
    done = added.run(copy, "-m", "pytest", "-q", *ALL, "-k", CHOSEN)
    assert done.returncode == 0, done.stdout[-3000:]
    for arguments in (["check"], ["format", "--check"]):
        done = added.run(copy, "-m", "ruff", *arguments, *sorted(added.FOUR - {added.README}))
        assert done.returncode == 0, done.stdout


def lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def test_nothing_of_a_stub_is_left_in_the_checkout() -> None:
    texts = new_energy.ROOT / "tests" / "core" / "test_energies.py", new_energy.ROOT / "README.md"
    rooms = ("guidance_core", "nodes", "web/docs")
    files = [file for room in rooms for file in (new_energy.ROOT / room).rglob("*.*")]
    for file in [*texts, *(file for file in files if file.suffix in (".py", ".md"))]:
        assert "TODO" not in file.read_text(encoding="utf-8"), file


def test_a_name_of_several_words_is_told_as_each_place_writes_it() -> None:
    core, tests, node, readme = new_energy.stubs("no_such_energy").values()
    assert "class NoSuchEnergy:" in core
    assert '"EGEnergyNoSuchEnergy",' in node
    assert 'display_name="Energy: No Such Energy",' in node
    assert "from ...guidance_core.energies.no_such_energy import NoSuchEnergy\n" in node
    assert '\n    "no such energy": NoSuchEnergy(0.5),\n}\n' in tests
    assert "def test_no_such_energy_is_zero" in tests
    assert "| Energy: No Such Energy |" in readme
    for text in (core, tests, node):
        ast.parse(text)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "NAME must be"),
        ("Spread", "NAME must be"),
        ("edge-density", "NAME must be"),
        ("edge density", "NAME must be"),
        ("../contrast", "NAME must be"),
        ("_contrast", "NAME must be"),
        ("a__b", "NAME must be"),
        ("2d", "NAME must be"),
        ("lambda", "NAME must be"),
        ("a" * 31, "NAME must be"),
        ("color", "is there already"),
        ("label_area", "is there already"),
        ("tensor", "already"),
        ("label", "already"),
    ],
)
def test_a_name_that_does_not_suit_or_is_taken_is_refused(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        new_energy.stubs(name)


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("README.md", new_energy.ROWS_END),
        ("tests/core/test_energies.py", "\nCASES = {\n"),
        ("tests/core/test_energies.py", "\nfrom guidance_core.energies."),
    ],
)
def test_a_file_without_a_place_for_a_stub_is_named(tmp_path: Path, file: str, place: str) -> None:
    for name in ("README.md", "tests/core/test_energies.py"):
        text = (new_energy.ROOT / name).read_text(encoding="utf-8")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace(place, "\n") if name == file else text)
    with pytest.raises(ValueError, match=file):
        new_energy.stubs("no_such_energy", tmp_path)


def test_where_one_file_cannot_be_written_none_is(tmp_path: Path) -> None:
    old, new, folder = tmp_path / "old", tmp_path / "new", tmp_path / "folder"
    old.write_text("before")
    folder.mkdir()
    with pytest.raises(OSError, match="folder"):
        new_energy.write({new: "stub", old: "after", folder / "missing" / "file": "stub"})
    assert old.read_text() == "before"
    assert not new.exists()
