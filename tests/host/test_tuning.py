"""Tune Guidance in the host: trials, judge, progress, cancel, and going on where it was."""

from __future__ import annotations

import inspect
import json

import comfy.model_management
import comfy.utils
import folder_paths
import pytest
import torch
from comfy_api.latest import io
from energy_guidance.guidance_core.captures import Attention
from energy_guidance.guidance_core.energies.scheduled import Scheduled
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.unified import Unified
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.nodes.energies.smoothed import SmoothEnergy
from energy_guidance.nodes.host import kept, networks, samplers, shapes, tune
from energy_guidance.nodes.inputs.rule import DEFAULT_WINDOW
from energy_guidance.nodes.sampling.tune import TuneGuidance
from energy_guidance.tests.host import probe, tiny

pytestmark = pytest.mark.once

THERE = (networks.ASSETS / "unet" / "config.json").is_file()
ENERGY = probe.Nearness(0.5)


@pytest.fixture(scope="module")
def model():
    return tiny.unet()


@pytest.fixture
def output(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    return tmp_path


def tuned(model, **changes):
    """The node's result on a tiny model, with the default widgets but for these."""
    widgets = {i.id: getattr(i, "default", None) for i in TuneGuidance.define_schema().inputs}
    widgets |= {"positive": tiny.cond(1), "negative": tiny.cond(2), "energy": ENERGY}
    widgets |= {"latent_image": tiny.latent(), "steps": 2, "seeds": 2, "rounds": 2, "width": 1}
    with torch.inference_mode():
        found = TuneGuidance.execute(**{**widgets, "model": model, **changes})
    rule, recurrences, report, plot = found.args
    return rule, recurrences, json.loads(report), plot


@pytest.fixture
def sampled(monkeypatch):
    """Seeds of the sampling runs, in order."""
    seeds, plain = [], samplers.sample

    def counted(plan, name, seed, *args, **options):
        seeds.append(seed)
        return plain(plan, name, seed, *args, **options)

    monkeypatch.setattr(tune.samplers, "sample", counted)
    return seeds


def test_it_finds_the_settings_that_meet_the_metric_best(model, output, sampled):
    rule, recurrences, report, plot = tuned(model, seed=7)
    assert isinstance(rule, Forward)
    assert rule.energy is ENERGY
    assert set(sampled) == {7, 8}
    assert len(sampled) == 2 * report["tried"]
    assert recurrences == report["settings"]["recurrences"]
    values = [row["metric"] for row in report["best"]]
    assert values == sorted(values)
    assert report["metric"] == values[0] < values[-1]
    inputs = report["node"]["inputs"]
    assert rule.strength.factor == inputs["strength"] == report["settings"]["strength"]
    assert plot.shape[0] == 1
    assert plot.shape[-1] == 3
    # The best rule, sampled again, gives the energy that was reported.
    plan = samplers.plan_of(model, tiny.cond(1), tiny.cond(2), 2, 4.0, "euler", "normal")
    trying = tune.Trying(plan, "euler", tiny.latent(), ENERGY)
    with torch.inference_mode():
        again = [
            -trying.value(rule, seed, recurrences, DEFAULT_WINDOW, lambda *_: None)
            for seed in (7, 8)
        ]
    assert sum(again) / 2 == pytest.approx(report["metric"], rel=1e-6)


def test_another_metric_judges_and_the_unified_rule_is_searched(model, output):
    options = {"rounds": 1, "seeds": 1, "max_recurrences": 1, "search": "unified"}
    rule, recurrences, report, _ = tuned(model, metric=probe.Nearness(-3.0), **options)
    assert isinstance(rule, Unified)
    assert rule.energy is ENERGY
    assert recurrences == 1
    assert set(report["settings"]) == {"rho", "mu", "gamma"}
    other = tuned(model, name="other", **options)[2]
    assert other["metric"] != report["metric"]
    assert (rule.rho, rule.mu) == (report["settings"]["rho"], report["settings"]["mu"])
    assert (rule.gamma, rule.samples) == (report["settings"]["gamma"], 1)


def test_a_cancelled_search_goes_on_and_loses_nothing(model, output, sampled, monkeypatch):
    calls, plain = [], comfy.model_management.throw_exception_if_processing_interrupted

    def cancel(*args):
        calls.append(args)
        if len(sampled) == 3:
            raise comfy.model_management.InterruptProcessingException
        return plain()

    with monkeypatch.context() as patch:
        patch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", cancel)
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            tuned(model)
    assert calls
    (file,) = (output / "guidance_tuning").glob("*.json")
    assert len(json.loads(file.read_text(encoding="utf-8"))["trials"]) == 2
    before = len(sampled)
    report = tuned(model)[2]
    assert len(sampled) - before == 2 * report["tried"] - 2
    count = len(sampled)
    assert tuned(model)[2] == report
    assert len(sampled) == count
    assert tuned(model, name="whole")[2]["best"] == report["best"]


def test_progress_grows_to_the_end_of_each_trial(model, output, monkeypatch):
    seen = []
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: seen.append((value, total))
    )
    monkeypatch.setattr(comfy.utils, "PROGRESS_THROTTLE_MIN_INTERVAL", 0.0, raising=False)
    tuned(model, seeds=1, rounds=1, max_recurrences=1, search="strength")
    values, totals = zip(*seen, strict=True)
    assert list(values) == sorted(values)
    assert values[-1] == totals[-1] == 3 * tune.TICKS


class Maps:
    captures = frozenset({Attention()})

    def __call__(self, estimate):
        return estimate.x0.flatten(1).mean(1)


def test_what_cannot_be_tuned_is_refused_before_sampling(model, output, sampled):
    bad = {
        "connect an energy of the image as metric": {"energy": Maps()},
        "there is no VAE": {"energy": probe.Nearness(reads_image=True)},
        "schedule ends before": {"metric": Scheduled(ENERGY, PercentWindow(0.0, 0.5))},
        "name must be 1 to 64": {"name": "../tuning"},
    }
    for words, changes in bad.items():
        with pytest.raises(ValueError, match=words):
            tuned(model, **changes)
    assert not sampled
    assert not list(output.rglob("*"))


def test_a_link_out_of_the_output_folder_is_not_followed(model, output, tmp_path_factory):
    (output / tune.FOLDER).symlink_to(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(ValueError, match="leads out of ComfyUI's output folder"):
        tuned(model)


def test_guidance_that_diverges_is_the_worst(model, output, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("the gradient is not finite for sample 0: ")

    monkeypatch.setattr(tune.samplers, "sample", broken)
    with pytest.raises(ValueError, match="every setting diverged"):
        tuned(model, rounds=1)


def test_workflows_are_told_apart_by_what_is_connected():
    def key(**changes):
        text = {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["1", 1]}}
        load = {"class_type": "Load", "inputs": {"name": "model"}}
        own = {"class_type": "EGTuneGuidance", "inputs": {"positive": ["2", 0], "width": 2}}
        prompt = {"1": load, "2": text, "3": own, "4": {"class_type": "Save", "inputs": {}}}
        for node, inputs in changes.items():
            prompt[node[1:]]["inputs"] |= inputs
        return kept.workflow_key(prompt, "3")

    assert key() == key(n3={"width": 5}) == key(n4={"images": ["3", 3]})
    assert key() != key(n2={"text": "a dog"})
    assert key() != key(n1={"name": "other"})
    assert kept.workflow_key(None, None) == kept.workflow_key({}, None)


def test_the_schema_and_the_signature_agree():
    for node in (TuneGuidance, SmoothEnergy):
        names = {i.id for i in node.define_schema().inputs}
        assert names == set(inspect.signature(node.execute).parameters)
        assert isinstance(node.define_schema(), io.Schema)


def test_a_smoothed_energy_refuses_attention_and_keeps_its_networks():
    smooth = SmoothEnergy.execute(ENERGY, 0.5, 2, 3).args[0]
    assert (smooth.gamma, smooth.samples, smooth.seed, smooth.energy) == (0.5, 2, 3, ENERGY)
    with pytest.raises(ValueError, match="reads attention or features"):
        SmoothEnergy.execute(Maps(), 1.0, 1, 0)


@pytest.mark.skipif(not THERE, reason="the embedded model's weights are not in assets/shapes")
def test_shapes_are_tuned_with_a_classifier_and_judged_by_clip(output):
    from energy_guidance.guidance_core.energies.classifier import ClassLabel
    from energy_guidance.guidance_core.energies.clip_text import ClipText

    with torch.inference_mode():
        model, clip, vae = shapes.load()
        empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
        energy = ClassLabel(networks.load(networks.CLASSIFIER, "shapes"), "red")
        metric = ClipText(networks.load(networks.OPEN_CLIP, "shapes"), "a red circle", cutouts=0)
    rule, _, report, _ = tuned(
        model,
        positive=empty,
        negative=empty,
        latent_image={"samples": torch.zeros(1, 4, 16, 16)},
        energy=SmoothEnergy.execute(energy, 0.1, 1, 0).args[0],
        metric=metric,
        vae=vae,
        steps=2,
        seeds=1,
        rounds=1,
        max_recurrences=1,
        cfg=1.0,
    )
    assert report["tried"] == 3
    assert 0 < report["metric"] < 5
    assert rule.energy.energy is energy
