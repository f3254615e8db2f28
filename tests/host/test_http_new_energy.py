"""A new energy is a node of the host by its four files alone, and what is generated fits it.

tests/core/test_new_energy.py asks the same of the core's part.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from energy_guidance.tests import new_energy as added
from energy_guidance.tests.host.conftest import HOST

pytestmark = pytest.mark.once

NAME = "EGEnergySpread"
GENERATE = """
import json, sys
from tools import help_pages, locales
nodes = json.load(open(sys.argv[1]))
locales.write(nodes)
assert locales.of("en") == locales.definitions(nodes)
page = (help_pages.FOLDER / "EGEnergySpread.md").read_text()
assert page == help_pages.with_tables(page, nodes["EGEnergySpread"])
assert locales.missing(locales.of("ko"), locales.definitions(nodes)) == ["EGEnergySpread"]
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with the energy of docs/adding-an-energy.md."""
    reason = added.reason_to_skip()
    if reason:
        pytest.skip(reason)
    copy = added.with_stubs(tmp_path_factory.mktemp("host"))
    added.filled_in(copy)
    return copy


def test_the_host_takes_four_files_for_a_node(copy: Path) -> None:
    """Its tests of the pack pass, without an entry in a list, a locale, or a help page.

    The other tests of the host and of the browser build the nodes that they name, or send the
    example workflows: none of them lists nodes, so that none can tell that there is one more.
    """
    assert added.touched(copy) == added.FOUR
    arguments = ("-q", "tests/host/test_http_pack.py", "-k", "not half_a_second")
    done = added.run(copy, "-m", "pytest", *arguments, COMFYUI_PATH=str(HOST))
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"ko lacks: {NAME}" in done.stdout


def test_what_is_generated_of_it_is_what_the_tests_ask_for(copy: Path, tmp_path: Path) -> None:
    file = tmp_path / "object_info.json"
    done = added.run(copy, "-m", "tools.object_info", str(HOST), str(file))
    assert done.returncode == 0, done.stderr
    done = added.run(copy, "-c", GENERATE, str(file))
    assert done.returncode == 0, done.stderr
    generated = {"locales/en/nodeDefs.json", f"web/docs/{NAME}.md"}
    assert added.touched(copy) == added.FOUR | generated
    page = (copy / "web" / "docs" / f"{NAME}.md").read_text(encoding="utf-8")
    assert page.startswith("# Energy: Spread\n\nSets the spread of brightness,")
    assert "| target | 0.5 (0 to 1) | Wanted spread:" in page
    assert "Peli 1990" in page
    done = added.run(copy, "-m", "pytest", "-q", "tests/core/test_help.py", "--noconftest")
    assert done.returncode == 0, done.stdout[-3000:]
