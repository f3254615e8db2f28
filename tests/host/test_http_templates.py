"""Templates for real checkpoints: they fit the nodes of this ComfyUI, and run on tiny models."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import comfy.supported_models
import folder_paths
import pytest
import safetensors.torch
import timm
import torch
from energy_guidance.nodes import extension
from energy_guidance.tests.host import encoders, families
from energy_guidance.tests.host.server import CHECKOUT, Server
from PIL import Image

from tools.templates import __main__ as templates
from tools.templates.definitions import inputs
from tools.templates.families import Family

NAMES = sorted(templates.templates())
MODELS = {
    "sd15": "SD 1.5",
    "sdxl": "SDXL",
    "flux1-dev": "FLUX.1",
    "flux2-klein": "FLUX.2",
    "qwen-image": "Qwen-Image",
    "z-image-turbo": "Z-Image",
    "krea2-turbo": "Krea 2",
    "wan22-5b": "Wan 2.2 5B",
}
# Of networks, so that they take what the text encoders of the same family give.
CHANGES = {"krea2-turbo": {"txtlayers": 12}, "sdxl": {"adm_in_channels": 16 + 1536}}
# What makes a run short: sizes in pixels, steps, one image.
SHORT = {"steps": 3, "length": 5, "cutouts": 1}
SIDE = 64
SIZED = ("ImageScale", "SolidMask", "MaskComposite", "Flux2Scheduler")


@pytest.fixture(scope="module")
def info(server: Server) -> dict[str, Any]:
    """/object_info."""
    return server.get("/object_info").json()


def stored(name: str, folder: str = "") -> dict[str, Any]:
    stem = name if folder else templates.names()[name]
    path = CHECKOUT / "example_workflows" / folder / f"{stem}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def of(name: str) -> Family:
    return templates.templates()[name][0]


@functools.cache
def host_nodes() -> Any:
    """ComfyUI's module nodes; by its file, since the checkout has a folder of this name."""
    file = Path(folder_paths.__file__).parent / "nodes.py"
    spec = importlib.util.spec_from_file_location("nodes", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["nodes"] = module  # as ComfyUI's further nodes import it
    spec.loader.exec_module(module)
    return module


def skip_where_unknown(name: str, info: dict[str, Any]) -> None:
    """Skip a template whose family, or what loads its tiny decoder, this ComfyUI lacks."""
    family = of(name)
    lacking = sorted({node["class_type"] for node in stored(name, "api").values()} - info.keys())
    config = families.ALL[MODELS[family.key]].config
    if lacking or not hasattr(comfy.supported_models, config):
        pytest.skip(f"this ComfyUI lacks {', '.join(lacking) or config}")
    if family.loads_tiny and not hasattr(host_nodes().VAELoader, "video_taes"):
        pytest.skip("Load VAE of this ComfyUI knows no tiny decoder of videos")


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_what_the_tool_writes(info: dict[str, Any], name: str) -> None:
    skip_where_unknown(name, info)
    page, api = templates.forms(name, info)
    assert without_titles(stored(name, "api")) == without_titles(api)
    if "Flux2Scheduler" in info:  # older ones list fewer inputs, and other names of nodes
        assert without_places(stored(name)) == without_places(page)


def without_places(page: dict[str, Any]) -> dict[str, Any]:
    """A page without the sizes of nodes, which grow with every widget that is added."""
    nodes = [{**node, "pos": None, "size": None} for node in page["nodes"]]
    return {**page, "nodes": nodes}


def without_titles(api: dict[str, Any]) -> dict[str, Any]:
    return {key: {**node, "_meta": None} for key, node in api.items()}


@pytest.mark.parametrize("name", NAMES)
def test_links_and_values_fit_the_nodes(info: dict[str, Any], name: str) -> None:
    skip_where_unknown(name, info)
    prompt = stored(name, "api")
    files = {file.name for file in templates.templates()[name][2].files}
    for node in prompt.values():
        known = {one.name: one for one in inputs(info, node["class_type"])}
        required = {one.name for one in known.values() if not one.optional}
        assert required <= node["inputs"].keys() <= known.keys(), node
        for key, value in node["inputs"].items():
            one = known[key]
            if isinstance(value, list):
                origin, slot = value
                assert info[prompt[origin]["class_type"]]["output"][slot] == one.kind, (node, key)
            elif value not in files and not one.options.get("image_upload"):
                fits(one.kind, one.options, value)


def fits(kind: str, options: dict[str, Any], value: Any) -> None:
    """Fail unless a node takes a value."""
    if kind == "COMBO":
        assert value in options["options"]
    elif kind in ("INT", "FLOAT"):
        assert options["min"] <= value <= options["max"]
        assert kind == "FLOAT" or isinstance(value, int)
    else:
        assert isinstance(value, {"STRING": str, "BOOLEAN": bool}[kind])


@pytest.mark.parametrize("name", NAMES)
def test_every_picker_of_a_file_says_where_it_is_published(name: str) -> None:
    page = stored(name)
    known = {model["name"]: model for model in page["models"]}
    for node in page["nodes"]:
        offered = {model["name"] for model in node["properties"].get("models", [])}
        named = {value for value in node.get("widgets_values", []) if is_file(value)}
        assert named <= offered, node["type"]
        assert offered <= known.keys()
    note = page["nodes"][-1]["widgets_values"][0]
    for model in known.values():
        assert model["url"].rpartition("/")[2] == model["name"]
        assert model["directory"] in {*folder_paths.folder_names_and_paths, "guidance"}
        assert f"[{model['name']}]({model['url']}) in `models/{model['directory']}`" in note
    assert "Not tried on real weights" in note


def is_file(value: Any) -> bool:
    return isinstance(value, str) and value.endswith((".safetensors", ".pth", ".sft"))


def test_addresses_of_checkpoints_are_those_of_the_templates_of_comfyui() -> None:
    """All but the guides', the tiny decoders' and SD 1.5's, which those do not have."""
    package = pytest.importorskip("comfyui_workflow_templates_json")
    texts = [file.read_text("utf-8") for file in Path(package.__path__[0]).rglob("*.json")]
    published = "".join(texts)
    if "krea2" not in published:
        pytest.skip("the templates of this ComfyUI are older than the families")
    for family in templates.FAMILIES:
        for file in (family.model, *family.encoders, *filter(None, [family.vae])):
            assert f'"{file.url}' in published or family.key == "sd15", file.url


# --- Running them, with loaders replaced by tiny models of the same family.


@functools.cache
def _extension_nodes(module: str) -> dict[str, Any]:
    found = host_nodes() if module == "nodes" else importlib.import_module(module)
    if hasattr(found, "NODE_CLASS_MAPPINGS"):
        return found.NODE_CLASS_MAPPINGS
    nodes = asyncio.run(asyncio.run(found.comfy_entrypoint()).get_node_list())
    return {node.GET_SCHEMA().node_id: node for node in nodes}


@functools.cache
def _own_nodes() -> dict[str, Any]:
    nodes = (node for room in extension.ROOMS for node in extension.nodes_of(room))
    return {node.GET_SCHEMA().node_id: node for node in nodes}


def run_node(info: dict[str, Any], kind: str, given: dict[str, Any]) -> tuple:
    """What a node of the host or of the pack gives."""
    module = info[kind]["python_module"]
    host_nodes()
    nodes = _own_nodes() if kind.startswith("EG") else _extension_nodes(module)
    node = nodes[kind]
    if hasattr(node, "GET_SCHEMA"):
        return tuple(node.execute(**given).args)
    given = {name: value for name, value in given.items() if name != "device"}
    made = getattr(node(), node.FUNCTION)(**given)
    return made.get("result", ()) if isinstance(made, dict) else made


def run(info: dict[str, Any], prompt: dict[str, Any], loaders: dict[str, Any]) -> dict[str, tuple]:
    """Run every node of an API workflow, each after those that it needs; their outputs."""
    done: dict[str, tuple] = {}

    def outputs(key: str) -> tuple:
        if key not in done:
            node = prompt[key]
            given = {
                name: outputs(value[0])[value[1]] if isinstance(value, list) else value
                for name, value in node["inputs"].items()
            }
            load = loaders.get(node["class_type"])
            done[key] = load(given) if load else run_node(info, node["class_type"], given)
        return done[key]

    with torch.inference_mode():
        for key in prompt:
            outputs(key)
    return done


@functools.cache
def _parts(family: str) -> tuple[Any, Any, Any]:
    changes = CHANGES.get(family, {})
    model = families.FAMILIES[MODELS[family]].model(**changes)
    return model, encoders.ENCODERS[family](), encoders.VAES[family]()


def tiny_loaders(family: str) -> dict[str, Any]:
    model, clip, vae = _parts(family)
    tiny_vae = functools.partial(encoders.tiny_vae, 48 if family.startswith("wan22") else 16)
    return {
        "CheckpointLoaderSimple": lambda given: (model, clip, vae),
        "UNETLoader": lambda given: (model,),
        "CLIPLoader": lambda given: (clip,),
        "DualCLIPLoader": lambda given: (clip,),
        "VAELoader": lambda given: (tiny_vae() if given["vae_name"].startswith("light") else vae,),
    }


def made_short(prompt: dict[str, Any], family: Family, files: set[str]) -> dict[str, Any]:
    """The same workflow, with few steps, a small image and the guides that come with the pack."""
    factor = SIDE / max(family.size)
    for node in prompt.values():
        values = node["inputs"]
        values |= {name: value for name, value in SHORT.items() if name in values}
        if node["class_type"] in SIZED or "batch_size" in values:
            lengths = {k: values[k] for k in ("width", "height", "x", "y") if k in values}
            values |= {k: max(16 * round(factor * v / 16), 16) for k, v in lengths.items()}
        if values.get("file") in files and node["class_type"] == "EGLoadOpenCLIP":
            values |= {"file": "shapes", "architecture": "auto"}
    return prompt


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture to load, tiny decoders, a face encoder, and a folder for what is saved."""
    Image.radial_gradient("L").resize((96, 80)).convert("RGB").save(tmp_path / "example.png")
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "saved"))
    for name in ("vae_approx", "guidance"):
        (tmp_path / name).mkdir()
        known = folder_paths.folder_names_and_paths
        monkeypatch.setitem(known, name, ([str(tmp_path / name)], {".safetensors"}))
    encoders.save_tiny_decoders(tmp_path / "vae_approx")
    options = {"patch_size": 8, "img_size": 112, "num_classes": 64}
    face = timm.create_model("vit_tiny_patch16_224", **options)
    safetensors.torch.save_file(face.state_dict(), tmp_path / "guidance" / "model.safetensors")
    return tmp_path


@pytest.mark.once
@pytest.mark.parametrize("name", NAMES)
def test_a_template_runs_on_tiny_models(info: dict[str, Any], folders: Path, name: str) -> None:
    skip_where_unknown(name, info)
    family = of(name)
    files = {file.name for file in templates.templates()[name][2].files}
    prompt = made_short(stored(name, "api"), family, files)
    done = run(info, prompt, tiny_loaders(family.key))
    saved = list((folders / "saved").rglob("*.*"))
    assert [file.suffix for file in saved] == [".webp" if family.is_video else ".png"]
    (trace,) = (
        done[key][1] for key, node in prompt.items() if node["class_type"] == "EGApplyGuidance"
    )
    pushes = [push for row in trace.rows for push in row["push"]]
    assert pushes
    assert min(pushes) > 0
