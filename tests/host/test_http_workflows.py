"""Workflows on a real server: they run, repeat themselves, report progress and fail with advice."""

from __future__ import annotations

import copy
import json

import pytest
from energy_guidance.tests.host.server import CHECKOUT, Server

WORKFLOWS = CHECKOUT / "example_workflows"
NAMES = ("text-guided", "classifier-guided", "recurrent", "few-steps")
EDITS = (
    *("move-object", "resize-object", "edit-picture", "boxes"),
    *("keep-layout", "missing-object", "swap-appearance", "place-words", "tour-where"),
)
GUIDES = (
    *("segmentation-guided", "box-guided", "style-from-image", "several-guides", "translation"),
    *("super-resolution-x4", "deblurring", "inpainting", "colourisation"),
    *("start-here", "guide-with-image", "keep-from-image", "tour-what", "tour-when"),
)
STEPS = 3
QUICK = {"steps": STEPS, "batch_size": 1, "cutouts": 1}


def workflow(name: str, **changes) -> dict:
    """An example as API JSON, made quick, with widgets changed wherever they occur."""
    prompt = json.loads((WORKFLOWS / "api" / f"{name}.json").read_text(encoding="utf-8"))
    for node in prompt.values():
        wanted = {**QUICK, **changes}
        node["inputs"] |= {key: wanted[key] for key in node["inputs"] if key in wanted}
        if node["class_type"] == "EGRuleBackward":
            node["inputs"]["steps"] = 1
        elif node["inputs"].get("backward_steps"):
            node["inputs"]["backward_steps"] = wanted.get("backward_steps", 1)
    return prompt


def id_of(prompt: dict, kind: str) -> str:
    return next(key for key, node in prompt.items() if node["class_type"] == kind)


def picture(server: Server, prompt: dict) -> bytes:
    outcome = server.run(prompt)
    return server.view(outcome.images(id_of(prompt, "SaveImage"))[0])


def without_trace(prompt: dict) -> dict:
    return {key: node for key, node in prompt.items() if node["class_type"] != "EGPlotTrace"}


@pytest.mark.once
@pytest.mark.parametrize("name", NAMES)
def test_example_runs_and_repeats_its_bytes(server: Server, name: str) -> None:
    first = picture(server, workflow(name))
    server.forget()
    assert first.startswith(b"\x89PNG")
    assert picture(server, workflow(name)) == first


@pytest.mark.parametrize("name", EDITS)
def test_editing_example_runs(server: Server, name: str) -> None:
    assert picture(server, workflow(name)).startswith(b"\x89PNG")


@pytest.mark.once
@pytest.mark.parametrize("name", GUIDES)
def test_guide_example_runs(server: Server, name: str) -> None:
    assert picture(server, workflow(name)).startswith(b"\x89PNG")


def test_a_reference_is_recorded_once(server: Server) -> None:
    """Another target of the edit leaves the recorded source in the host's cache."""
    moved = [workflow("move-object", x=x) for x in (0.3, 0.6)]
    first, second = (server.run(prompt) for prompt in moved)
    recorder = id_of(moved[0], "EGRecordReference")
    cached = {node for event in second.of("execution_cached") for node in event["nodes"]}
    assert recorder in cached
    assert first.images(id_of(moved[0], "SaveImage"))


def test_a_word_that_is_not_in_the_prompt_lists_those_there(server: Server) -> None:
    text = failure(server, workflow("move-object", words="triangle"), "EGTokens")
    for part in ("triangle", "big", "red", "circle"):
        assert part in text


def test_energy_changes_the_picture(server: Server) -> None:
    red, blue = (workflow("classifier-guided", label=label) for label in ("red", "blue"))
    assert picture(server, red) != picture(server, blue)


def test_strength_zero_is_the_stock_ksampler(server: Server) -> None:
    guided = without_trace(workflow("text-guided", strength=0.0))
    stock = copy.deepcopy(guided)
    sampler = stock[id_of(stock, "EGGuidedKSampler")]
    ours = {"energy", "strength", "backward_steps", "recurrences", "start_percent", "end_percent"}
    kept = {key: value for key, value in sampler["inputs"].items() if key not in {*ours, "vae"}}
    sampler |= {"class_type": "KSampler", "inputs": kept}
    assert picture(server, guided) == picture(server, stock)


def test_progress_counts_recurrences_and_ends_full(server: Server) -> None:
    prompt = without_trace(
        workflow("text-guided", seed=11, recurrences=2, end_percent=1.0, tries=1)
    )
    sampler = id_of(prompt, "EGGuidedKSampler")
    outcome = server.run(prompt)
    progress = [event for event in outcome.of("progress") if event["node"] == sampler]
    values = [event["value"] for event in progress]
    assert values == sorted(values)
    assert progress[-1]["value"] == progress[-1]["max"] == 2 * STEPS


def test_trace_of_another_node_is_plotted_after_sampling(server: Server) -> None:
    prompt = workflow("recurrent", noise_seed=12)
    outcome = server.run(prompt)
    plot = server.view(outcome.images(id_of(prompt, "EGPlotTrace"))[0])
    assert plot.startswith(b"\x89PNG")


def test_cancel_stops_and_the_next_run_is_whole(server: Server) -> None:
    before = picture(server, workflow("recurrent", noise_seed=13))
    slow = without_trace(workflow("recurrent", noise_seed=14, steps=500))

    def cancel(event: dict) -> None:
        if event["type"] == "progress":
            server.interrupt()

    assert server.run(slow, cancel).of("execution_interrupted")
    server.forget()
    assert picture(server, workflow("recurrent", noise_seed=13)) == before


def refusal(server: Server, prompt: dict) -> str:
    """Text of the errors with which the server refuses a prompt."""
    response = server.answer(prompt)
    assert response.status_code == 400, response.text
    faults = [error for node in response.json()["node_errors"].values() for error in node["errors"]]
    return " ".join(f"{error['message']} {error['details']}" for error in faults)


def test_missing_weights_are_refused_before_anything_runs(server: Server) -> None:
    text = refusal(server, workflow("text-guided", file="nowhere.safetensors"))
    for part in ("nowhere.safetensors", "models/guidance", "shapes"):
        assert part in text


@pytest.mark.parametrize("name", ["text-guided", "classifier-guided", "recurrent"])
def test_empty_window_is_refused_before_anything_runs(server: Server, name: str) -> None:
    text = refusal(server, workflow(name, start_percent=0.8, end_percent=0.3))
    assert "start_percent must be smaller than end_percent, got 0.8 and 0.3" in text


def test_window_out_of_range_is_refused_before_anything_runs(server: Server) -> None:
    text = refusal(server, workflow("text-guided", end_percent=1.5))
    assert "end_percent must lie in [0, 1], got 1.5" in text


def failure(server: Server, prompt: dict, kind: str) -> str:
    """Message of the error on a node of a class."""
    error = server.run(prompt).error
    assert error["node_type"] == kind, error
    return error["exception_message"]


def from_elsewhere(prompt: dict, kind: str, name: str, source: str) -> dict:
    """A prompt in which a widget comes over a link, so that it is not known before the run."""
    node = prompt[id_of(prompt, kind)]
    value, node["inputs"][name] = node["inputs"][name], ["text", 0]
    return {**prompt, "text": {"class_type": source, "inputs": {"value": value}}}


def test_unknown_label_of_a_run_lists_the_labels(server: Server) -> None:
    prompt = workflow("classifier-guided", label="dragon")
    prompt = from_elsewhere(prompt, "EGEnergyClassifier", "label", "PrimitiveString")
    text = failure(server, prompt, "EGEnergyClassifier")
    for part in ("dragon", "red", "circle", "small"):
        assert part in text


def test_trace_plotted_too_early_says_what_to_connect(server: Server) -> None:
    prompt = workflow("recurrent", noise_seed=15)
    del prompt[id_of(prompt, "EGPlotTrace")]["inputs"]["after"]
    sampler, guider = id_of(prompt, "SamplerCustomAdvanced"), id_of(prompt, "EGApplyGuidance")
    only_plot = {key: prompt[key] for key in prompt if key != sampler}
    only_plot = {
        key: node
        for key, node in only_plot.items()
        if [sampler, 0] not in node["inputs"].values() and node["class_type"] != "SaveImage"
    }
    assert guider in only_plot
    server.forget()
    assert "'after'" in failure(server, only_plot, "EGPlotTrace")


def test_cfg_scale_without_cfg_says_what_to_do(server: Server) -> None:
    prompt = workflow("classifier-guided")
    prompt[id_of(prompt, "EGRuleForward")]["inputs"]["scale"] = "cfg"
    text = failure(server, prompt, "KSampler")
    assert "relative" in text
