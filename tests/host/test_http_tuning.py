"""Tune Guidance on a real server: cancelled, queued again, and its rule used by a sampler."""

from __future__ import annotations

import json

import pytest
from energy_guidance.tests.host.server import Server
from energy_guidance.tests.host.test_http_workflows import id_of, workflow

pytestmark = pytest.mark.once

SEARCH = {"search": "strength", "width": 1, "rounds": 2, "max_recurrences": 1, "name": "http"}
RUN = {"seed": 3, "seeds": 2, "steps": 2, "cfg": 1.0, "sampler_name": "euler"}


def tuned() -> dict:
    """The classifier example, its rules found by the tuner."""
    prompt = workflow("classifier-guided", steps=2)
    link = lambda kind, slot=0: [id_of(prompt, kind), slot]
    inputs = {
        "model": link("EGLoadShapes"),
        "vae": link("EGLoadShapes", 2),
        "positive": link("CLIPTextEncode"),
        "negative": link("CLIPTextEncode"),
        "latent_image": link("EmptyLatentImage"),
        "energy": link("EGEnergyClassifier"),
        "scheduler": "normal",
        "decoder": "auto",
        **SEARCH,
        **RUN,
    }
    prompt[id_of(prompt, "EGApplyGuidance")]["inputs"] |= {"rule_1": ["tuner", 0]}
    del prompt[id_of(prompt, "EGApplyGuidance")]["inputs"]["rule_2"]
    for kind in ("EGRuleForward", "EGRuleBackward", "EGSchedule"):
        del prompt[id_of(prompt, kind)]
    return {**prompt, "tuner": {"class_type": "EGTuneGuidance", "inputs": inputs}}


def trials(server: Server) -> list:
    (file,) = (server.log.parent / "output" / "guidance_tuning").glob("http-*.json")
    return json.loads(file.read_text(encoding="utf-8"))["trials"]


def test_a_cancelled_search_is_taken_up_and_its_rule_is_sampled_with(server: Server) -> None:
    pressed = []

    def cancel(event: dict) -> None:
        data = event["data"]
        if event["type"] == "progress" and data["node"] == "tuner" and data["value"] > 100:
            pressed.append(data)
            if len(pressed) == 1:
                server.interrupt()

    outcome = server.run(tuned(), cancel)
    assert outcome.of("execution_interrupted")
    before = trials(server)
    assert 1 <= len(before) < 10
    outcome = server.run(tuned())
    assert trials(server)[: len(before)] == before
    assert len(trials(server)) > len(before)
    assert len(outcome.images("tuner")) == 1
    assert outcome.images(id_of(tuned(), "SaveImage"))
