"""Who may import whom, read from the sources."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Shared modules of the core, but not those that put energies and rules to work.
SHARED = {path.stem for path in (ROOT / "guidance_core").glob("*.py")}
PARTS_MAY_IMPORT = SHARED - {"__init__", "compose", "inversion", "recurrence", "trace"}


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


def test_core_imports_neither_the_nodes_nor_a_host():
    wrong = [
        (path.name, name)
        for path in sources("guidance_core")
        for name in imports(path)
        if name[0] in ("nodes", "comfy", "comfy_api", "folder_paths", "server", "execution")
    ]
    assert not wrong


def test_only_the_host_rooms_import_comfy():
    inside = ROOT / "nodes" / "host"
    hosts = ("comfy", "folder_paths", "latent_preview", "node_helpers", "execution", "server")
    wrong = [
        (path.relative_to(ROOT), name)
        for path in [ROOT / "__init__.py", *sources("nodes")]
        if path.exists() and inside not in path.parents
        for name in imports(path)
        if name[0] in hosts
    ]
    assert not wrong


def test_energies_and_rules_do_not_import_each_other():
    wrong = [
        (path.relative_to(ROOT), name)
        for path in sources("guidance_core/energies", "guidance_core/rules")
        for name in imports(path)
        if name[0] == "guidance_core" and name[1] not in PARTS_MAY_IMPORT
    ]
    assert not wrong


def test_core_parts_do_not_import_energies_rules_or_networks():
    wrong = [
        (path.name, name)
        for path in (ROOT / "guidance_core").glob("*.py")
        for name in imports(path)
        if name[:1] == ("guidance_core",) and name[1] in ("energies", "rules", "networks", "shapes")
    ]
    assert not wrong


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
