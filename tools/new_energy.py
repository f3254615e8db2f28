"""Write the four stubs of a new energy: core file, test case, node, README row.

    python3 -m tools.new_energy edge_density

All of them are written, or none. Every place to fill in says TODO; docs/adding-an-energy.md shows
them filled in. Standard library only.
"""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parents[1]
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST = 30
TESTS = "tests/core/test_energies.py"
README = "README.md"
ROWS_END = "<!-- A new energy: one row above this line"

CORE = '''\
"""TODO: what the image should be.

References:
    TODO: title, authors, year, where published, equation. "Deviates:" where this does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True)
class $kind:
    """TODO: what is compared with the target, in which range; the formula.

    Arguments:
        target: TODO: what it means, in [0, 1].

    Raises:
        ValueError: target outside [0, 1].
    """

    target: float
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.target <= 1:
            raise ValueError(f"target must be in [0, 1], got {self.target}")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        image = full_precision(estimate.image)
        raise NotImplementedError(f"TODO: a number for each of {len(image)} samples, low is good")
'''

NODE = '''\
"""TODO: what the artist gets, beginning with a verb."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...guidance_core.energies.$name import $kind
from ..inputs.energy import OUTPUTS, closing_inputs, finished
from ..inputs.sockets import schema


class Energy$kind(io.ComfyNode):
    """TODO: the same."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergy$kind",
            display_name="Energy: $title",
            category="guidance/what",
            description="TODO: what the artist gets, beginning with a verb, and what it needs.",
            search_aliases=("TODO: other words that one may search for",),
            inputs=[
                io.Float.Input(
                    "target",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="TODO: what turning it does.",
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls, target: float, weight: float, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """Build the energy."""
        return finished($kind(target), weight, mask)
'''

TEST = """

def test_${name}_is_zero_at_its_target_and_known_elsewhere():
    energy = $kind(0.5)
    raise NotImplementedError(f"TODO: values of {energy} worked out by hand")
"""

ROW = "| TODO: what the artist gets | Energy: $title | image | Forward 0.5 |\n"


def stubs(name: str, root: Path = ROOT) -> dict[Path, str]:
    """The texts of the four files with the stubs of an energy.

    Arguments:
        name: of the file, words in lower case joined by underscores.
        root: the checkout.

    Raises:
        ValueError: the name does not suit or is taken, or a file has no place for a stub.
    """
    words = name.split("_")
    kind = "".join(word.capitalize() for word in words)
    title = " ".join(word.capitalize() for word in words)
    core, node = (
        root / folder / "energies" / f"{name}.py" for folder in ("guidance_core", "nodes")
    )
    _check(name, kind, root, (core, node))
    fill = lambda text: Template(text).substitute(name=name, kind=kind, title=title)
    return {
        core: fill(CORE),
        root / TESTS: _with_case((root / TESTS).read_text(encoding="utf-8"), name, kind)
        + fill(TEST),
        node: fill(NODE),
        root / README: _with_row((root / README).read_text(encoding="utf-8"), fill(ROW)),
    }


def _check(name: str, kind: str, root: Path, files: tuple[Path, ...]) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > LONGEST:
        raise ValueError(
            f"NAME must be words in lower case joined by underscores, at most {LONGEST} characters "
            f"such as edge_density, got '{name}'"
        )
    for file in files:
        if file.exists():
            raise ValueError(f"{file.relative_to(root)} is there already: choose another NAME")
    tests = (root / TESTS).read_text(encoding="utf-8")
    if re.search(rf"\b{kind}\b", tests) or f'    "{name.replace("_", " ")}": ' in tests:
        raise ValueError(f"{TESTS} has a {kind} or '{name}' already: choose another NAME")


def _with_case(tests: str, name: str, kind: str) -> str:
    """The tests with the energy imported, in alphabetical order, and a line in CASES."""
    line = f"from guidance_core.energies.{name} import {kind}\n"
    imports = re.findall(r"^from guidance_core\.energies\.\w+ import \w+\n", tests, re.MULTILINE)
    later = [other for other in imports if other > line]
    cases, start, rest = tests.partition("\nCASES = {\n")
    inside, end, rest = rest.partition("\n}\n")
    if not (later or imports) or not start or not end:
        raise ValueError(f"expected imports of energies and 'CASES = {{' in {TESTS}")
    where = cases.index(later[0]) if later else cases.index(imports[-1]) + len(imports[-1])
    case = f'\n    "{name.replace("_", " ")}": {kind}(0.5),'
    return cases[:where] + line + cases[where:] + start + inside + case + end + rest


def _with_row(readme: str, row: str) -> str:
    """The README with a row at the end of the table of energies."""
    if readme.count(ROWS_END) != 1:
        raise ValueError(f"expected one line '{ROWS_END} ...' under the energies of {README}")
    return readme.replace(ROWS_END, row + ROWS_END)


def write(texts: dict[Path, str]) -> None:
    """Write all files; where one cannot be written, the others are as they were."""
    before = {file: file.read_bytes() if file.exists() else None for file in texts}
    written: list[Path] = []
    try:
        for file, text in texts.items():
            written.append(file)
            file.write_text(text, encoding="utf-8")
    except OSError:
        for file in written:
            _restore(file, before[file])
        raise


def _restore(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink(missing_ok=True)
    elif file.read_bytes() != content:
        file.write_bytes(content)


def main(arguments: list[str]) -> int:
    """Write the stubs and say what is next."""
    name = arguments[0] if len(arguments) == 1 else " ".join(arguments)
    try:
        texts = stubs(name)
        write(texts)
    except (ValueError, OSError) as fault:
        print(fault, file=sys.stderr)
        return 1
    for file in texts:
        print(file.relative_to(ROOT))
    print("Fill in every TODO (docs/adding-an-energy.md shows how), then: make locales, make test")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
