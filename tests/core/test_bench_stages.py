"""The benchmark of morphs, un-cropped images and cascades."""

from __future__ import annotations

import pytest
import torch

from bench.stages import judged, page
from bench.stages.tasks import TASKS, identity, jobs
from guidance_core.shapes import scenes
from guidance_core.shapes.scenes import Item, Scene


def frames(*items: Item) -> torch.Tensor:
    return scenes.render([Scene((item,)) for item in items])


def at(x: float, colour: str = "red", radius: float = 20.0) -> Item:
    return Item("circle", colour, "big", x, 60.0, radius)


def test_a_moved_object_goes_one_way_and_one_that_turns_back_does_not():
    features = torch.arange(3.0)[:, None]
    onward = judged.morph(frames(at(40), at(60), at(80)), features)
    assert onward["monotone"] == onward["even"] == 1
    assert (onward["ratio"], onward["whole"]) == (1, 100)
    back = judged.morph(frames(at(40), at(90), at(80)), features)
    assert (back["place"], back["size"], back["monotone"]) == (0, 1, 0)


def test_size_colour_and_nothing_are_told_apart():
    features = torch.tensor([[0.0], [1.0], [5.0]])
    size = judged.morph(frames(at(60, radius=20), at(60, radius=13), at(60, radius=20)), features)
    # The ends are the same: nothing to go along, so that only what leaves them could tell.
    assert size["even"] == 1
    shrunk = judged.morph(frames(at(60, radius=13), at(60, radius=22), at(60, radius=18)), features)
    assert (shrunk["size"], shrunk["place"]) == (0, 1)
    colour = judged.morph(frames(at(60), at(60, "yellow"), at(60, "purple")), features)
    assert colour["place"] == 1
    empty = frames(at(60), at(60), at(60))
    empty[1] = torch.tensor(scenes.BACKGROUND).view(3, 1, 1) / 255
    nothing = judged.morph(empty, features)
    assert nothing["size"] == nothing["place"] == nothing["colour"] == 0


def test_the_read_attributes_are_those_of_the_scene():
    values = judged.read(frames(at(50.0, "blue", 20.0)))
    assert float(values["size"][0]) == pytest.approx(20, abs=0.3)
    assert values["place"][0].tolist() == pytest.approx([49.5 / 128, 59.5 / 128], abs=0.01)
    assert values["colour"][0].tolist() == pytest.approx([50 / 255, 90 / 255, 220 / 255], abs=0.05)


def test_every_cut_scene_has_an_object_through_which_the_edge_goes():
    for scene in judged.cut_scenes(0, 4):
        shares = [
            float(area[:, : judged.CUT_AT].sum() / area.sum())
            for area in map(scenes.inside, scene.items)
        ]
        assert any(judged.LEFT[0] <= share <= judged.LEFT[1] for share in shares)


def test_what_was_there_is_put_back_before_an_image_is_judged():
    (scene,) = judged.cut_scenes(0, 1)
    (truth,) = scenes.render([scene])
    missing = torch.zeros(128, 128)
    missing[:, judged.CUT_AT :] = 1
    ruined = torch.where(missing[None] > 0, truth, torch.ones_like(truth))
    assert judged.uncrop(ruined, truth, missing, scene.caption())["whole"] == 1
    ground = torch.tensor(scenes.BACKGROUND).view(3, 1, 1) / 255
    assert judged.uncrop(ground.expand_as(truth), truth, missing, scene.caption())["whole"] == 0


def test_a_page_counts_images_and_their_standard_error():
    task = TASKS[1]
    rows = [
        {
            **identity(task, next(iter(task.methods)), "w"),
            "rows": [{"whole": 1.0, "seen": 20.0}] * 3 + [{"whole": 0.0, "seen": 24.0}],
        }
    ]
    text = page.page(rows, "w")
    assert f"## {task.title}" in text
    assert "| 75 ± 22 | 21.0 ± 1.0 | 4 |" in text
    assert TASKS[0].title not in text
    assert len(jobs("w", 16, ["uncrop"], ())) == 2 * len(task.methods)
