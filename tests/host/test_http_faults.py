"""What a workflow lacks is told on the node that lacks it, when it is queued: nothing runs."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
from collections.abc import Callable

import pytest
import requests
from energy_guidance.tests.host.server import CHECKOUT, Server

from tests.host.test_http_workflows import id_of, workflow

WRAPPERS = ("frames", "scheduled", "smoothed", "weighted_sum")
FILES = sorted(path.stem for path in (CHECKOUT / "nodes" / "energies").glob("[!_]*.py"))
ENERGIES = [name for name in FILES if name not in WRAPPERS]
LOADERS = {
    "EGLoadOpenCLIP": ("outputs", "encode_image", "encode_text", "blocks"),
    "EGLoadClassifier": ("labels", "blocks"),
    "EGLoadSegmenter": ("pixel_labels",),
    "EGLoadDetector": ("box_labels", "detections"),
    "EGLoadViT": ("tokens", "blocks"),
}


def faults(server: Server, prompt: dict) -> dict[str, str]:
    """What the server says of the nodes of a prompt, by node; nothing where it takes it."""
    nodes = server.answer(prompt).json()["node_errors"].items()
    return {
        key: " ".join(f"{error['message']} {error['details']}" for error in node["errors"])
        for key, node in nodes
    }


def fault(server: Server, prompt: dict, kind: str) -> str:
    """What is said of the node of a class, the only one that is red."""
    said = {key: text for key, text in faults(server, prompt).items() if text}
    assert list(said) == [id_of(prompt, kind)], said
    return said[id_of(prompt, kind)]


def alone(nodes: dict, kind: str, **inputs) -> dict:
    """A node with its widgets as they are by default."""
    every = {**nodes[kind]["input"].get("required", {}), **nodes[kind]["input"].get("optional", {})}
    given = {name: spec[1]["default"] for name, spec in every.items() if "default" in spec[1]}
    return {"class_type": kind, "inputs": {**given, **inputs}}


def guided_by(nodes: dict, kind: str, rule: str = "EGRuleForward", **inputs) -> dict:
    """An energy of a class under a rule, applied without a VAE and plotted."""
    return {
        # Shapes brings a decoder of its own; this model has none.
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "none.safetensors"}},
        "2": alone(nodes, kind, **inputs),
        "3": alone(nodes, rule, energy=["2", 0]),
        "4": alone(nodes, "EGApplyGuidance", model=["1", 0], rule_1=["3", 0]),
        "5": alone(nodes, "EGPlotTrace", trace=["4", 1]),
    }


def test_apply_guidance_without_vae_is_red(server: Server, nodes: dict) -> None:
    prompt = guided_by(nodes, "EGEnergyColor")
    inputs = prompt["4"]["inputs"]
    for decoder in ("auto", "vae"):
        inputs["decoder"] = decoder
        for part in ("Energy: Mean Color", "no VAE", "rgb"):
            assert part in faults(server, prompt)["4"]
    for decoder in ("rgb", "taesd"):
        inputs["decoder"] = decoder
        assert "4" not in faults(server, prompt)
    inputs |= {"decoder": "auto", "vae": ["1", 2]}
    assert "4" not in faults(server, prompt)


def test_a_model_that_brings_a_decoder_needs_no_vae(server: Server) -> None:
    prompt = workflow("classifier-guided")
    inputs = prompt[id_of(prompt, "EGApplyGuidance")]["inputs"]
    inputs.pop("vae", None)
    assert server.answer(prompt).status_code == 200
    inputs["decoder"] = "vae"
    assert "no VAE" in fault(server, prompt, "EGApplyGuidance")


def test_guided_sampler_without_vae_is_red(server: Server, nodes: dict) -> None:
    prompt = guided_by(nodes, "EGEnergyCLIPText")
    prompt["4"] = alone(nodes, "EGGuidedKSampler", model=["1", 0], energy=["2", 0])
    prompt["5"] = {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}}
    prompt["6"] = {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}}
    assert (
        "Energy: CLIP Text looks at the image, but there is no VAE" in faults(server, prompt)["4"]
    )
    prompt["4"]["inputs"]["vae"] = ["1", 2]
    assert "VAE" not in faults(server, prompt)["4"]


def core_energies(name: str) -> list[type]:
    """The energies of the core that a node's file builds."""
    module = importlib.import_module(f"energy_guidance.nodes.energies.{name}")
    return [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing) and ".guidance_core.energies." in thing.__module__
    ]


def kind_of(name: str) -> str:
    source = (CHECKOUT / "nodes" / "energies" / f"{name}.py").read_text(encoding="utf-8")
    return source.partition("return schema(")[2].partition('"')[2].partition('"')[0]


@pytest.mark.parametrize("name", ENERGIES)
def test_what_is_taken_for_an_energy_of_the_image_is_one_in_the_core(
    server: Server, nodes: dict, name: str
) -> None:
    reads = [vars(energy).get("reads_image", False) for energy in core_energies(name)]
    kind = kind_of(name)
    for look in ("latent", "image"):
        inputs = {"look": look} if "look" in nodes[kind]["input"]["required"] else {}
        said = faults(server, guided_by(nodes, kind, **inputs)).get("4", {})
        wanted = any(look == "image" if isinstance(one, property) else one for one in reads)
        assert ("no VAE" in str(said)) == wanted, (kind, look, said)


@pytest.mark.parametrize("name", ENERGIES)
def test_what_is_taken_for_an_energy_inside_the_model_is_one_in_the_core(
    server: Server, nodes: dict, name: str
) -> None:
    kind, reads = kind_of(name), any("captures" in vars(one) for one in core_energies(name))
    for rule in ("EGRuleManifold", "EGRuleBackward"):
        said = faults(server, guided_by(nodes, kind, rule)).get("3", "")
        assert ("reads attention or features" in said) == reads, (kind, rule, said)
    assert "3" not in faults(server, guided_by(nodes, kind))


def test_steps_at_the_estimate_are_refused_for_words_and_those_through_the_model_not(
    server: Server, nodes: dict
) -> None:
    def said(**widgets) -> str:
        prompt = guided_by(nodes, "EGEnergyBox", "EGRuleUnified")
        prompt["3"]["inputs"] |= widgets
        return faults(server, prompt).get("3", "")

    assert "set both to 0" in said()
    assert "set both to 0" in said(preset="MPGD")
    assert not said(mu=0.0)
    assert not said(preset="FreeDoM")
    words = {"2": alone(nodes, "EGEnergyBox"), "3": alone(nodes, "EGGuidedKSampler")}
    words["3"]["inputs"] |= {"energy": ["2", 0], "backward_steps": 2}
    words["4"] = {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0]}}
    words["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}}
    assert "set backward_steps to 0" in faults(server, words)["3"]
    words["3"]["inputs"]["backward_steps"] = 0
    assert "backward_steps" not in faults(server, words)["3"]


ACCEPTS = {
    "EGEnergyCLIPText": "encode_text",
    "EGEnergyTextDirection": "encode_text",
    "EGEnergyCLIPImage": "encode_image",
    "EGEnergyAesthetic": "encode_image",
    "EGEnergyClassifier": "labels",
    "EGEnergyNoisyClassifier": "noisy_labels",
    "EGEnergyDetection": "box_labels",
    "EGEnergySegmentation": "pixel_labels",
    "EGEnergyFaceIdentity": "encode_face",
    "EGEnergyStructure": "tokens",
    "EGEnergyStyle": "blocks",
    "EGEnergyImage": "blocks",
}


@pytest.mark.parametrize("loader", LOADERS)
def test_only_networks_that_have_what_an_energy_calls_are_taken(
    server: Server, nodes: dict, loader: str
) -> None:
    from energy_guidance.nodes.host import networks

    kind = importlib.import_module(f"energy_guidance.nodes.loaders.{file_of(loader)}").ROW.kind
    network = networks.load(kind, networks.EMBEDDED)
    for energy, needed in ACCEPTS.items():
        extra = {"distance": "features"} if energy == "EGEnergyImage" else {}
        prompt = guided_by(nodes, energy, network=["6", 0], **extra)
        prompt["6"] = alone(nodes, loader)
        said = faults(server, prompt).get("2", "")
        refused = f"got one from {nodes[loader]['display_name']}" in said
        assert refused != hasattr(network, needed), (energy, said)


def file_of(loader: str) -> str:
    folder = CHECKOUT / "nodes" / "loaders"
    files = [path for path in folder.glob("*.py") if f'"{loader}"' in path.read_text("utf-8")]
    return files[0].stem


def test_energies_that_take_networks_are_all_tried(nodes: dict) -> None:
    take = {
        name
        for name, node in nodes.items()
        for spec in {
            **node["input"].get("required", {}),
            **node["input"].get("optional", {}),
        }.values()
        if spec[0] == "GUIDE_NETWORK" and name.startswith("EGEnergy")
    }
    assert take == set(ACCEPTS)


LABELS = [
    ("classifier-guided", "EGEnergyClassifier", {"label": "dragon"}),
    ("segmentation-guided", "EGEnergySegmentation", {"label": "dragon"}),
    ("box-guided", "EGEnergyDetection", {"boxes": "dragon: 0.1 0.1 0.5 0.5"}),
]


@pytest.mark.parametrize(("name", "kind", "change"), LABELS)
def test_an_unknown_label_is_told_with_those_known(
    server: Server, name: str, kind: str, change: dict
) -> None:
    text = fault(server, workflow(name, **change), kind)
    for part in ("dragon", "circle", "square"):
        assert part in text


def test_the_page_is_told_the_labels_of_a_network(server: Server) -> None:
    def sent(body: object) -> requests.Response:
        address = f"http://{server.address}/energy_guidance/labels"
        return requests.post(address, json=body, timeout=60)

    def ask(loader: str, file: str = "shapes") -> requests.Response:
        return sent({"loader": loader, "file": file, "architecture": "auto"})

    labels = {kind: ask(kind).json()["labels"] for kind in LOADERS}
    assert labels["EGLoadClassifier"][:4] == ["circle", "square", "triangle", "red"]
    assert "circle" in labels["EGLoadDetector"]
    assert "circle" in labels["EGLoadSegmenter"]
    assert labels["EGLoadOpenCLIP"] == labels["EGLoadViT"] == []
    assert ask("VAELoader").json()["labels"] == []
    for file in ("../../secret.safetensors", str(CHECKOUT / "assets/shapes/vit.safetensors")):
        assert ask("EGLoadClassifier", file).status_code == 400
    for body in ([], {}, {"loader": 1, "file": "shapes", "architecture": "auto"}):
        assert sent(body).status_code == 400


def test_labels_of_unknown_networks_are_left_to_the_run(server: Server, nodes: dict) -> None:
    prompt = guided_by(nodes, "EGEnergyClassifier", network=["6", 0], label="dragon")
    prompt["6"] = alone(nodes, "EGLoadClassifier")
    assert "dragon" in faults(server, prompt)["2"]
    prompt["6"]["inputs"]["architecture"] = ["7", 0]
    prompt["7"] = {"class_type": "PrimitiveString", "inputs": {"value": "auto"}}
    assert "2" not in faults(server, prompt)


def test_one_of_two_inputs_must_be_connected(server: Server) -> None:
    prompt = workflow("segmentation-guided")
    inputs = prompt[id_of(prompt, "EGEnergySegmentation")]["inputs"]
    area = inputs.pop("area")
    said = fault(server, prompt, "EGEnergySegmentation")
    assert "either area or reference or boxes, got none" in said
    inputs["boxes"] = "dragon: 0.1 0.1 0.5 0.5"
    assert "dragon" in fault(server, prompt, "EGEnergySegmentation")
    inputs["boxes"] = ""
    inputs["area"] = inputs["reference"] = area
    assert "got area and reference" in str(faults(server, prompt))


def test_a_sum_without_weights_is_refused(server: Server) -> None:
    prompt = workflow("several-guides", weight_1=0.0, weight_2=0.0, weight_3=0.0, weight_4=0.0)
    assert "weight other than 0" in fault(server, prompt, "EGCombineEnergies")


def test_what_has_no_weight_needs_no_vae(server: Server, nodes: dict) -> None:
    prompt = guided_by(nodes, "EGEnergyColor")
    prompt["3"]["inputs"]["energy"] = ["6", 0]
    prompt["7"] = alone(nodes, "EGEnergyLoop")
    sum_of = {"energy_1": ["2", 0], "energy_2": ["7", 0]}
    prompt["6"] = alone(nodes, "EGCombineEnergies", **sum_of, weight_1=1.0)
    assert "no VAE" in faults(server, prompt)["4"]
    prompt["6"]["inputs"]["weight_1"] = 0.0
    assert "4" not in faults(server, prompt)


@pytest.mark.parametrize("wrapper", ["EGFrames", "EGSmoothEnergy"])
def test_wrappers_refuse_energies_of_words(server: Server, nodes: dict, wrapper: str) -> None:
    prompt = guided_by(nodes, "EGEnergyBox")
    prompt["3"]["inputs"]["energy"] = ["6", 0]
    prompt["6"] = alone(nodes, wrapper, energy=["2", 0])
    assert "reads attention or features" in faults(server, prompt)["6"]


def test_a_projection_needs_a_decoder_that_encodes(server: Server, nodes: dict) -> None:
    prompt = guided_by(nodes, "EGEnergyColor", "EGRuleManifold")
    prompt["3"]["inputs"]["projected"] = True
    prompt["4"]["inputs"] |= {"decoder": "rgb", "vae": ["1", 2]}
    assert "can encode" in faults(server, prompt)["4"]
    prompt["4"]["inputs"]["decoder"] = "auto"
    assert "4" not in faults(server, prompt)


def test_features_and_empty_palettes_need_what_they_compare_with(
    server: Server, nodes: dict
) -> None:
    image = guided_by(nodes, "EGEnergyImage", distance="features")
    assert "needs a network with 'features'" in faults(server, image)["2"]
    palette = guided_by(nodes, "EGEnergyPalette", colors=" ")
    assert "needs a reference without colors" in faults(server, palette)["2"]


def test_a_cycle_of_links_is_an_answer_and_no_crash(server: Server, nodes: dict) -> None:
    prompt = guided_by(nodes, "EGScheduleEnergy", energy=["2", 0], schedule=["6", 0])
    prompt["6"] = alone(nodes, "EGSchedule")
    assert server.answer(prompt).status_code in (400, 500)
    assert server.answer(workflow("classifier-guided")).status_code == 200


OWN = "a big red circle and a small white square"


def words_of(text: str, change: Callable[[dict], object] = lambda prompt: None) -> dict:
    """A workflow that guides by words of a text, and samples the prompt OWN, changed."""
    prompt = {
        "loaded": {"class_type": "EGLoadShapes", "inputs": {}},
        "words": {"class_type": "EGTokens", "inputs": {"prompt": text, "words": "circle"}},
        "energy": {"class_type": "EGEnergyPresence", "inputs": {"tokens": ["words", 0]}},
        "rule": {"class_type": "EGRuleForward", "inputs": {"energy": ["energy", 0]}},
        "guided": {"class_type": "EGApplyGuidance", "inputs": {"rule_1": ["rule", 0]}},
        "positive": {"class_type": "CLIPTextEncode", "inputs": {"text": OWN}},
        "negative": {"class_type": "CLIPTextEncode", "inputs": {"text": ""}},
        "sampler": {"class_type": "KSampler", "inputs": {"model": ["guided", 0]}},
        "decoded": {"class_type": "VAEDecode", "inputs": {"samples": ["sampler", 0]}},
        "saved": {"class_type": "PreviewImage", "inputs": {"images": ["decoded", 0]}},
    }
    prompt["guided"]["inputs"]["model"] = ["loaded", 0]
    for name in ("words", "positive", "negative"):
        prompt[name]["inputs"]["clip"] = ["loaded", 1]
    # The sampler lacks the rest of its inputs: nothing is run.
    prompt["sampler"]["inputs"] |= {"positive": ["positive", 0], "negative": ["negative", 0]}
    change(prompt)
    return prompt


def between(kind: str, **inputs) -> Callable[[dict], None]:
    """A node between the positive prompt and the sampler, where inputs are None."""

    def change(prompt: dict) -> None:
        links = {
            name: ["positive", 0] if value is None else value for name, value in inputs.items()
        }
        prompt["between"] = {"class_type": kind, "inputs": links}
        prompt["sampler"]["inputs"]["positive"] = ["between", 0]

    return change


PASSING = {
    "nothing": lambda prompt: None,
    "a time range": between("ConditioningSetTimestepRange", conditioning=None, start=0.0, end=1.0),
    "a sum": between("ConditioningCombine", conditioning_1=None, conditioning_2=None),
}


@pytest.mark.parametrize("way", PASSING)
def test_words_of_another_prompt_are_told_with_both_texts(server: Server, way: str) -> None:
    said = faults(server, words_of("a green triangle", PASSING[way])).get("words", "")
    assert "prompt - the words are picked from the prompt 'a green triangle', but" in said
    assert f"gets '{OWN}'" in said


def test_what_may_be_the_same_prompt_is_left_to_the_run(server: Server) -> None:
    for text in (OWN, f"{OWN.upper()} , ", f"({OWN}:1.1)"):
        assert "words" not in faults(server, words_of(text))
    both = between("ConditioningConcat", conditioning_to=None, conditioning_from=["negative", 0])
    assert "words" not in faults(server, words_of(OWN, both))
    unknown = between(
        "CLIPTextEncodeControlnet", conditioning=None, clip=["loaded", 1], text="a green triangle"
    )
    for change in (unknown, lambda prompt: prompt["sampler"]["inputs"].pop("positive")):
        assert "words" not in faults(server, words_of("a green triangle", change))


def test_another_model_that_may_be_taken_leaves_it_to_the_run(server: Server) -> None:
    def merged(prompt: dict) -> None:
        two = {"model1": ["guided", 0], "model2": ["loaded", 0], "ratio": 1.0}
        prompt["merged"] = {"class_type": "ModelMergeSimple", "inputs": two}
        prompt["sampler"]["inputs"]["model"] = ["merged", 0]

    assert "words" not in faults(server, words_of("a green triangle", merged))


def test_words_of_a_recorded_prompt_need_not_be_those_of_the_sampler(server: Server) -> None:
    def moved(prompt: dict) -> None:
        prompt["there"] = copy.deepcopy(prompt["words"])
        prompt["there"]["inputs"]["prompt"] = "a green triangle"
        links = {"tokens": ["words", 0], "source_tokens": ["there", 0]}
        prompt["energy"] = {"class_type": "EGEnergySize", "inputs": links}

    assert {"words", "there"}.isdisjoint(faults(server, words_of(OWN, moved)))


@pytest.mark.parametrize("kind", ["PrimitiveString", "PrimitiveStringMultiline"])
def test_texts_come_from_text_nodes_too(server: Server, kind: str) -> None:
    def linked(prompt: dict, name: str = "positive") -> None:
        prompt["text"] = {"class_type": kind, "inputs": {"value": "a blue square"}}
        prompt[name]["inputs"]["text" if name == "positive" else "prompt"] = ["text", 0]

    assert "gets 'a blue square'" in faults(server, words_of("a circle", linked))["words"]
    assert "words" not in faults(server, words_of("a blue square", linked))
    other = faults(server, words_of("", lambda prompt: linked(prompt, "words")))["words"]
    assert "'a blue square', but" in other


def test_texts_that_are_made_in_the_run_are_left_to_it(server: Server) -> None:
    def joined(prompt: dict) -> None:
        inputs = {"string_a": "a", "string_b": "cat", "delimiter": " "}
        prompt["text"] = {"class_type": "StringConcatenate", "inputs": inputs}
        prompt["positive"]["inputs"]["text"] = ["text", 0]

    assert "words" not in faults(server, words_of("a circle", joined))


def test_long_texts_are_shown_where_they_differ(server: Server) -> None:
    def long(prompt: dict) -> None:
        prompt["positive"]["inputs"]["text"] = "very " * 40 + "red"

    said = faults(server, words_of("very " * 40 + "blue", long))["words"]
    assert "very blue'" in said
    assert "very red'" in said
    assert len(said) < 400


@pytest.mark.parametrize(
    "name", sorted(file.stem for file in (CHECKOUT / "example_workflows" / "api").glob("*.json"))
)
def test_no_example_is_told_off(server: Server, name: str) -> None:
    file = CHECKOUT / "example_workflows" / "api" / f"{name}.json"
    prompt = json.loads(file.read_text(encoding="utf-8"))
    # Nothing runs, and nothing but files of models is missing.
    for key in [key for key, node in prompt.items() if node["class_type"] == "SaveImage"]:
        prompt[key]["inputs"].pop("images")
    ours = {key for key, node in prompt.items() if node["class_type"].startswith("EG")}
    said = [text for key, text in faults(server, prompt).items() if key in ours]
    told = [text for text in said if "Custom validation" in text and "weights file" not in text]
    assert not told
