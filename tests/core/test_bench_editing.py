"""The editing benchmark's bookkeeping, and its reading of attention in diffusers."""

from __future__ import annotations

import json

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from bench.editing import __main__ as editing
from bench.editing import looks, model, report, sources
from bench.editing.desk import Figure
from bench.editing.tasks import TASKS
from guidance_core.attention.words import Word
from guidance_core.captures import Attention, Features
from guidance_core.energies.position import Position
from guidance_core.requirements import requirements_of
from guidance_core.rules.forward import Forward
from guidance_core.rules.recording import Recording
from guidance_core.schedules import Window
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.scenes import Item, Scene
from guidance_core.types import Estimate
from tools.demo import diffusers_host

ITEM = Item("square", "red", "big", 32.0, 64.0, 20.0)


@pytest.fixture(scope="module")
def shapes():
    return diffusers_host.load(device="cpu")


def watched(shapes, requests, sigma=3.0):
    seen = {}
    rule = Recording(frozenset(requests), lambda level, values: seen.update(values))
    x = 4 * torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    states = shapes.encode(["a big red circle", "a small blue square"])
    denoise = model.denoiser(shapes, states, states[:1], 4.0, [rule])
    estimate = denoise(x, torch.full((2,), sigma))
    return rule(lambda x, sigma: estimate, x, estimate.sigma, None) and seen


def test_maps_and_features_are_those_asked_for(shapes):
    one, every = Attention((3,)), Attention((), "all")
    with torch.no_grad():
        seen = watched(shapes, {one, every, Features()})
    (red,), whole, features = seen[one], seen[every], seen[Features()]
    names = model.Reader(shapes.unet, [every]).names(every)
    assert torch.equal(whole[names.index("output.2.0")][:, 3:4], red)
    assert all(torch.allclose(maps.sum(1), torch.ones(())) for maps in whole)
    assert [feature.shape for feature in features] == [(2, 64, 16, 16)] * 2


def test_nothing_is_read_outside_the_window(shapes):
    energy = Position((Word("red", (3,)),), (0.5, 0.5))
    later = Forward(energy, Window(1.0))
    states = shapes.encode([""])
    denoise = model.denoiser(shapes, states, states, 1.0, [later])
    with torch.no_grad():
        assert denoise(torch.randn(1, 4, 16, 16), torch.tensor([3.0])).captures == {}
        assert denoise(torch.randn(1, 4, 16, 16), torch.tensor([0.5])).captures


def test_captions_and_words_of_objects():
    text = sources.caption(4, 2, ("size", "colour", "shape"))
    first, second = (sources.object_words(text, k) for k in (0, 1))
    assert text == f"a {' '.join(first)} and a {' '.join(second)}"
    assert first[1] != second[1]
    assert first[2] != second[2]
    assert sources.word("a big red circle and a small blue square", "blue").positions == (8,)


def test_where_an_object_is():
    (verdict,) = oracle.judge(scenes.render([Scene((ITEM,))]))
    seen = sources.found(verdict, ("big", "red", "square"))
    assert sources.found(verdict, ("red", "circle")) is None
    assert sources.distance(seen, 0.25, 0.5) < 0.01
    assert sources.distance(None, 0.25, 0.5) == 1.0
    assert sources.inside(ITEM, (0.0, 0.0, 0.5, 1.0)) == 1.0
    assert sources.inside(ITEM, (0.25, 0.0, 1.0, 1.0)) == pytest.approx(0.5, abs=0.03)


def test_each_sample_has_an_energy_of_its_own():
    maps = torch.zeros(2, 1, 4, 4)
    maps[:, :, 0, 0] = 1.0
    words = (Word("red", (3,)),)
    energy = sources.Each(tuple(Position(words, target) for target in ((0.125, 0.125), (1.0, 1.0))))
    (request,) = requirements_of([energy]).captures
    x0 = torch.zeros(2, 4, 4, 4)
    values = energy(Estimate(x0, torch.ones(2), captures={request: (maps,)}))
    assert values[0] < 0.01 < 1.0 < values[1]


def test_bounds_are_reached_or_missed():
    rows = [{"unguided": {"e": 0.5}, "guided": {"e": value}} for value in (0.1, 0.05, 0.9)]
    median = Figure("error", "e", "median", 0.1)
    assert report.value(median, rows, "guided") == 0.1
    assert report.met(median, rows)
    assert not report.met(Figure("error", "e", "median", 0.09), rows)
    assert report.met(Figure("share", "e", "share", 0.6, relative=True), 5 * rows)
    assert report.met(Figure("share", "e", "share", 0.8, relative=True), 5 * rows) is False
    assert report.met(Figure("share", "e", "share", 0.6, relative=True), rows) is None
    assert report.met(Figure("free", "e", "mean"), rows) is None


def test_finished_batches_are_kept_and_those_of_other_weights_dropped(tmp_path):
    path, task = tmp_path / "editing.json", TASKS[0]
    row = {"unguided": {"error": 0.4, "kept": True}, "guided": {"error": 0.05, "kept": True}}
    batch = {"weights": "w", "task": task.name, "settings": task.settings, "rows": [row]}
    editing.write(path, {"a": batch, "b": {**batch, "settings": "others"}})
    assert list(editing.read(path, "w")) == ["a"]
    assert editing.read(path, "v") == {}
    assert json.loads(path.read_text(encoding="utf-8"))["a"]["rows"] == [row]
    page = report.page(editing.rows_of(editing.read(path, "w")), "w")
    assert f"| {task.name} | median centroid error | ≤ 0.07 | 0.40 | 0.05 | 1 |" in page


def test_three_objects_each_have_their_own_two_words_bound():
    text = "red circle and blue square and green triangle"
    pairs = [[sources.word(text, name) for name in part.split()] for part in text.split(" and ")]
    (_, nouns), (_, colours), *bound = looks.together(pairs).parts
    places = lambda words: [word.positions for word in words]
    assert places(nouns.words) == [(2,), (5,), (8,)]
    assert places(colours.words) == [(1,), (4,), (7,)]
    assert [places(binding.words) for _, binding in bound] == [
        [(1,), (2,)],
        [(4,), (5,)],
        [(7,), (8,)],
    ]
    assert places(bound[1][1].others) == [(1,), (2,), (7,), (8,)]
