"""Ask every family of a ComfyUI what the tests ask, and write the tables of docs/models.md.

    COMFYUI_PATH=~/comfy/ComfyUI .venv-host-0.29.0/bin/python -m tools.families

Run it in the environment of each ComfyUI: results of the others are kept. Names of families as
arguments ask those alone; without COMFYUI_PATH only the tables are written.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tools import hosts

RESULTS = hosts.CHECKOUT / "bench" / "results" / "families.json"
PAGE = hosts.CHECKOUT / "docs" / "models.md"
START, END = "<!-- families -->", "<!-- end of families -->"
HEADS = {
    "stock": "strength 0",
    "gradient": "gradient",
    "rules": "rules",
    "batch": "batch",
    "sizes": "sizes, frames",
    "image_to_image": "image to image",
    "inpainting": "inpainting",
    "short_memory": "little memory",
    "cast_weights": "cast weights",
}
YES, NO, NOT_ASKED = "✓", "✗", "-"


def stored() -> dict[str, Any]:
    """Results by version of ComfyUI and family, and the classes that have no family."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}


def measured(version: str, names: list[str]) -> dict[str, Any]:
    """What each family of the running host answers in each column."""
    from energy_guidance.tests.host import families
    from energy_guidance.tests.host.families.columns import COLUMNS

    found = {}
    for name in names or families.FAMILIES:
        found[name] = {"class": families.FAMILIES[name].config}
        for column in COLUMNS:
            found[name][column.__name__] = answer(column, name)
        bad = [key for key, value in found[name].items() if is_error(value)]
        print(f"ComfyUI {version}: {name} {', '.join(bad) or 'ok'}", flush=True)
    return found


def answer(column: Any, family: str) -> Any:
    """A number, a word or True; what went wrong as {"error": ...}."""
    try:
        value = column(family)
    except Exception as error:
        return {"error": str(error).splitlines()[0]}
    return True if value is None else value


def is_error(value: Any) -> bool:
    """Whether a column does not hold."""
    return isinstance(value, dict)


def cell(values: list[Any]) -> str:
    """What a column says in all hosts that know a family."""
    errors = [value["error"] for value in values if is_error(value)]
    if errors:
        return f"{NO} {errors[0]}"
    words = [value for value in values if isinstance(value, str)]
    return f"{NOT_ASKED} {words[0]}" if words else YES


def rows(results: Mapping[str, Any]) -> Iterator[str]:
    """The table's lines: one family each, over all hosts that were asked."""
    asked = results["hosts"]
    versions = sorted(asked, key=lambda text: [int(part) for part in text.split(".")])
    heads = list(HEADS.values())
    yield f"| model | class of ComfyUI | ComfyUI | {' | '.join(heads)} |"
    yield "|---" * (3 + len(heads)) + "|"
    for name in sorted({name for host in asked.values() for name in host}, key=str.lower):
        found = {version: asked[version][name] for version in versions if name in asked[version]}
        cells = [cell([row[key] for row in found.values() if key in row]) for key in HEADS]
        kind = next(iter(found.values()))["class"]
        known = "all" if len(found) == len(versions) else ", ".join(found)
        yield f"| {name} | {kind} | {known} | {' | '.join(cells)} |"


def failing(results: Mapping[str, Any]) -> set[str]:
    """Families with a column that does not hold in some host."""
    found = [(name, row) for host in results["hosts"].values() for name, row in host.items()]
    return {name for name, row in found if any(map(is_error, row.values()))}


def tables(results: Mapping[str, Any]) -> str:
    """All that is generated of docs/models.md."""
    names = {name for host in results["hosts"].values() for name in host}
    held = len(names - failing(results))
    asked = ", ".join(sorted(results["hosts"]))
    lines = [f"Asked on ComfyUI {asked}: {held} of {len(names)} models hold in every column.", ""]
    lines += [*rows(results), ""]
    lines += ["| class of ComfyUI | why it has no row |", "|---|---|"]
    lines += [f"| {name} | {why} |" for name, why in sorted(results["unbuilt"].items())]
    return "\n".join(lines)


def write(results: Mapping[str, Any]) -> None:
    """Store the results, and put the tables into the page."""
    text = json.dumps(results, indent=1, ensure_ascii=False, sort_keys=True)
    RESULTS.write_text(text + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(START)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{START}\n{tables(results)}\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Measure on the host that COMFYUI_PATH names, if it names one, and write."""
    results = stored()
    if os.environ.get("COMFYUI_PATH"):
        from tests.host import conftest

        conftest._start_host()
        conftest._register_pack()
        from energy_guidance.tests.host.families import unbuilt

        version = hosts.version(conftest.HOST)
        kept = results.setdefault("hosts", {}).setdefault(version, {})
        names = sys.argv[1:]
        found = measured(version, names)
        results["hosts"][version] = {**kept, **found} if names else found
        results["unbuilt"] = unbuilt.reasons()
    write(results)
    return int(bool(failing(results)))


if __name__ == "__main__":
    sys.exit(main())
