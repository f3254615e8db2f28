"""Who may import whom, read from the sources."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOST = ("comfy", "folder_paths", "latent_preview", "node_helpers", "execution", "server")
# Lowest floor first; a room imports from its own floor or from one below it.
CORE_FLOORS = (
    {
        "types",
        "run",
        "process",
        "noise",
        "captures",
        "requirements",
        "gradients",
        "gradient_faults",
        "shaping",
    }
    | {
        "schedules",
        "compose",
        "trace",
        "notes",
        "steering",
        "calibration",
        "inverse",
        "batch_video",
        "pacing",
        "truncation",
    },
    {"attention", "image", "shapes"},
    {"networks"},
    {"energies", "rules"},
    {"procedures"},
    {"__init__"},
)
NODE_FLOORS = (
    {"host.autograd"},
    {"host.reading"},
    {"host.browser"},
    {"host"},
    {"inputs"},
    {"start", "energies", "rules", "sampling", "editing", "loaders", "diagnostics"},
    {"extension", "__init__"},
)


def imports(path: Path) -> list[tuple[str, ...]]:
    """Absolute dotted names, as parts; relative imports are resolved against the checkout."""
    found: list[tuple[str, ...]] = []
    here = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: -node.level] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            found += [(*module, alias.name) for alias in node.names]
    return found


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def room(name: tuple[str, ...]) -> str:
    """The room of a dotted name inside guidance_core or nodes."""
    inside = ".".join(name[1:3])
    return inside if any(inside in floor for floor in NODE_FLOORS) else name[1]


def floor_of(name: tuple[str, ...]) -> int:
    floors = {"guidance_core": CORE_FLOORS, "nodes": NODE_FLOORS}[name[0]]
    return next(level for level, rooms in enumerate(floors) if room(name) in rooms)


def crossings(top: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every import inside a package: who imports, and what."""
    return [
        (path.relative_to(ROOT).with_suffix("").parts, name)
        for path in sources(top)
        for name in imports(path)
        if name[0] == top and len(name) > 1
    ]


def test_core_imports_neither_the_nodes_nor_a_host():
    wrong = [
        (path.name, name)
        for path in sources("guidance_core")
        for name in imports(path)
        if name[0] in ("nodes", "comfy_api", *HOST)
    ]
    assert not wrong


def test_only_the_host_rooms_import_comfy():
    inside = ROOT / "nodes" / "host"
    wrong = [
        (path.relative_to(ROOT), name)
        for path in [ROOT / "__init__.py", *sources("nodes")]
        if inside not in path.parents
        for name in imports(path)
        if name[0] in HOST
    ]
    assert not wrong


def test_no_import_runs_up_a_floor():
    wrong = [
        (here, name)
        for top in ("guidance_core", "nodes")
        for here, name in crossings(top)
        if floor_of(name) > floor_of(here)
    ]
    assert not wrong


def test_energies_rules_and_nodes_do_not_import_each_other():
    apart = ({"energies", "rules"}, NODE_FLOORS[-2])
    wrong = [
        (here, name)
        for top, rooms in zip(("guidance_core", "nodes"), apart, strict=True)
        for here, name in crossings(top)
        if here[1] in rooms and name[1] in rooms and not is_shared(name)
    ]
    assert not wrong


def is_shared(name: tuple[str, ...]) -> bool:
    """A file of a room of nodes that defines no node, for the nodes beside it."""
    file = ROOT.joinpath(*name[:3]).with_suffix(".py")
    node = re.compile(r"^class \w+\(io\.ComfyNode\)", re.MULTILINE)
    return name[0] == "nodes" and not node.search(file.read_text(encoding="utf-8"))


def test_the_core_names_no_node():
    named = re.compile(r"[\"']EG[A-Z]")
    assert not [
        path.relative_to(ROOT)
        for path in sources("guidance_core")
        if named.search(path.read_text(encoding="utf-8"))
    ]


def test_heavy_packages_are_not_imported_at_load():
    heavy = {"kornia", "open_clip", "timm", "torchvision", "diffusers", "transformers"}
    for path in sources("guidance_core/energies", "guidance_core/rules"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        names = {alias.name.split(".")[0] for node in top for alias in node.names}
        names |= {
            (node.module or "").split(".")[0] for node in top if isinstance(node, ast.ImportFrom)
        }
        assert not names & heavy, path
