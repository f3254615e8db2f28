"""The rows and figures of the guides' measurements; sampling is the embedded host's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from bench import records
from bench.guides import __main__ as guides
from bench.guides import appearance, identity, labels, page, placement
from bench.guides import task as figures
from bench.guides.tasks import TASKS
from guidance_core.procedures.inversion import psnr
from guidance_core.shapes import scenes
from guidance_core.shapes.scenes import Item, Scene
from tools import diffusers_host

ONE = Item("circle", "red", "big", 40.0, 50.0, 20.0)


def drawn(*items: Item) -> torch.Tensor:
    return scenes.render([Scene((item,)) for item in items])


def test_results_are_kept_by_weights_and_settings_and_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "guides.json"
    assert guides.read(path) == []
    own = guides.identity(TASKS[0]) | {"seed": 0}
    others = [own | {"weights": "old"}, own | {"recipe": "another"}, own | {"task": "another"}]
    records.write(path, [*others, own])
    assert guides.read(path) == [own]
    assert [file.name for file in path.parent.iterdir()] == ["guides.json"]


def test_a_task_depends_on_the_weights_that_take_part():
    weights = {task.name: guides.identity(task)["weights"] for task in TASKS}
    assert weights["sr4"] == weights["colour"] == records.fingerprint(*records.MODEL)
    assert len({weights[name] for name in ("sr4", "segmentation", "detection", "style")}) == 4


def test_moved_object_overlaps_in_part_and_an_absent_one_not_at_all():
    here, there, far = drawn(ONE, replace(ONE, x=60.0), replace(ONE, x=100.0))
    masks = figures.foreground(torch.stack([here, there, far]))
    values = figures.overlap(masks, masks[:1].expand(3, -1, -1))
    assert values[0] == 1
    assert 0.1 < values[1] < 0.6
    assert values[2] == 0


def test_the_best_box_of_the_same_shape_counts():
    moved = replace(ONE, x=60.0)
    assert placement.best_overlap(ONE, [moved, ONE]) == 1
    assert placement.best_overlap(ONE, [moved]) == pytest.approx(20 / 60)
    assert placement.best_overlap(ONE, [replace(ONE, shape="square")]) == 0
    assert placement.best_overlap(ONE, []) == 0


def test_palette_distance_is_the_share_of_other_colours():
    red = drawn(ONE)
    both = scenes.render([Scene((ONE, replace(ONE, x=100.0, colour="blue")))])
    assert figures.palette_distance(red, red).item() == 0
    assert figures.palette_distance(red, both).item() == pytest.approx(0.5, abs=0.05)
    assert figures.palette_distance(red, drawn(replace(ONE, colour="green"))).item() == 1


@pytest.mark.parametrize(
    ("name", "before", "after", "worse"),
    [
        ("sr4", {"PSNR": 30}, {"PSNR": 33.5, "consistency": 41}, {"PSNR": 32.5, "consistency": 41}),
        ("inpaint", {"PSNR": 30}, {"PSNR": 40, "consistency": 41}, {"PSNR": 40, "consistency": 39}),
        ("segmentation", {}, {"IoU": 0.71}, {"IoU": 0.69}),
        ("detection", {}, {"box IoU": 0.51}, {"box IoU": 0.49}),
        (
            "diffuseit",
            {"palette distance": 0.8, "contour IoU": 1},
            {"palette distance": 0.4, "contour IoU": 0.76},
            {"palette distance": 0.4, "contour IoU": 0.74},
        ),
        ("noisy label", {"shown": 0.1}, {"shown": 0.76}, {"shown": 0.74}),
        ("identity", {"whom it shows": 0.1}, {"whom it shows": 0.61}, {"whom it shows": 0.59}),
        ("style", {"palette distance": 0.8}, {"palette distance": 0.4}, {"palette distance": 0.5}),
    ],
)
def test_bounds_hold_or_do_not(name, before, after, worse):
    task = next(task for task in TASKS if task.name == name)
    four = lambda row: {key: torch.full((4,), float(value)) for key, value in row.items()}
    assert task.met(four(before), four(after))
    assert not task.met(four(before), four(worse))


def test_a_label_is_shown_by_a_whole_object_and_each_batch_has_its_own():
    told = []
    ask = labels.labelled(lambda model, label: told.append(label) or [])
    asked = [ask(None, seed, 8) for seed in (0, 8, 72)]
    assert told == ["red", "circle", "red"]
    images = drawn(ONE, replace(ONE, shape="square"), replace(ONE, colour="blue"))
    images[1, :, 90:120, 100:104] = 1  # and something that is no object
    found = {name: values.tolist() for name, values in asked[0].figures_of(images).items()}
    assert found == {"shown": [1, 1, 0], "clean": [1, 0, 1], "shown and clean": [1, 0, 0]}
    assert asked[1].figures_of(images)["shown"].tolist() == [1, 0, 1]


def test_whom_an_image_shows_is_told_by_shape_and_colour_wherever_it_is():
    asked = identity.identity(diffusers_host.load(), 0, 3)
    there = [scene.items[0] for scene in figures.scenes_of(0, 3, count=1)]
    assert list(asked.prompts) == [f"a {item.shape}" for item in there]
    moved = [replace(item, x=64.0, y=64.0, radius=20.0) for item in there]
    other = [replace(item, colour="red" if item.colour != "red" else "blue") for item in moved]
    both = lambda items: asked.figures_of(drawn(*items))
    assert both(moved)["whom it shows"].tolist() == [1, 1, 1]
    assert both([moved[0], *other[1:]])["whom it shows"].tolist() == [1, 0, 0]
    assert both(other)["clean"].tolist() == [1, 1, 1]


def test_page_shows_every_measured_task():
    plain = {"PSNR": [30.0, 32.0], "consistency": [20.0, 22.0]}
    better = {"PSNR": [35.0, 36.0], "consistency": [45.0, 47.0]}
    row = {"task": "sr4", "seed": 0, "seconds": 2.0, "before": plain, "after": better}
    text = page.page([row], "abcd")
    assert "| PSNR | 31.0 / 30.0 | 35.5 / 35.0 | yes | 2 | 2.0 |" in text
    assert "|  |  | consistency | 21.0 / 20.0 | 46.0 / 45.0 |  |  |  |" in text
    assert "denoise 0.3" in text
    assert "Not measured with these weights yet: deblur, inpaint, segmentation" in text
    assert "* segmentation" not in text


def test_an_image_is_generated_again_from_its_own_noise():
    model, settings = diffusers_host.load(), diffusers_host.Settings(steps=20, batch=1)
    image = drawn(ONE)
    noise = appearance.noise_of(model, image, settings.steps)
    again = diffusers_host.sample(model, [], settings, noise=noise)
    other = diffusers_host.sample(model, [], settings)
    back, strange = (psnr(model.images(latents), image) for latents in (again, other))
    assert float(back) > 30 > float(strange)
