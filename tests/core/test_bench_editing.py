"""The editing benchmark's rows and figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from bench import records
from bench.editing import __main__ as editing
from bench.editing import appearance, better_noise, moving, outlines, page, sources, swaps
from bench.editing.task import Figure
from bench.editing.tasks import TASKS
from guidance_core.attention.words import Word
from guidance_core.energies.position import Position
from guidance_core.requirements import requirements_of
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.oracle import Verdict
from guidance_core.shapes.scenes import Item, Scene
from guidance_core.types import Estimate

ITEM = Item("square", "red", "big", 32.0, 64.0, 20.0)


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


def test_overlap_is_of_the_pixels_of_a_colour():
    (image,) = scenes.render([Scene((ITEM, replace(ITEM, colour="blue", x=96.0)))])
    mask = scenes.inside(ITEM)
    assert outlines.overlap(outlines.pixels_of(image, "red"), mask) > 0.97
    assert outlines.overlap(outlines.pixels_of(image, "blue"), mask) == 0.0
    beside = scenes.inside(replace(ITEM, x=ITEM.x + 5))
    side = ITEM.radius * 3.14159265**0.5
    ideal = (side - 5) / (side + 5)
    assert outlines.overlap(mask, beside) == pytest.approx(ideal, abs=0.03)
    nothing = torch.zeros(128, 128, dtype=torch.bool)
    assert outlines.overlap(nothing, nothing) == 0.0


def test_outlines_and_paths_stay_in_the_image_and_paths_cross_it():
    for seed in range(20):
        item = outlines.drawing("a big red triangle", seed)
        left, top, right, bottom = item.box
        assert min(left, top) >= 0
        assert max(right, bottom) <= scenes.SIDE
        (_, first), (_, last) = moving.path_of(seed).points
        assert sorted([first[0], last[0]]) == [0.28, 0.72]
        assert all(0.3 <= y <= 0.7 for _, y in (first, last))


def test_flicker_is_the_spread_of_mean_colours_in_grey_levels():
    images = torch.stack([torch.full((3, 4, 4), level) for level in (0.2, 0.4)])
    assert moving.flicker(images) == pytest.approx(255 * 0.1, rel=1e-4)
    assert moving.flicker(images[:1].repeat(3, 1, 1, 1)) == 0.0


def test_shares_and_means_have_their_standard_error():
    rows = [{"unguided": {"e": 0}, "guided": {"e": value}} for value in (1, 1, 1, 0)]
    line = page._cells(Figure("share", "e", "share", 0.7), rows)
    assert line == ["share", "≥ 0.7", "0.00 ± 0.00", "0.75 ± 0.22"]
    assert page._cells(Figure("median", "e", "median"), rows)[3] == "1.00"


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
    assert page.value(median, rows, "guided") == 0.1
    assert page.met(median, rows)
    assert not page.met(Figure("error", "e", "median", 0.09), rows)
    assert page.met(Figure("share", "e", "share", 0.6, relative=True), 5 * rows)
    assert page.met(Figure("share", "e", "share", 0.8, relative=True), 5 * rows) is False
    assert page.met(Figure("share", "e", "share", 0.6, relative=True), rows) is None
    assert page.met(Figure("free", "e", "mean"), rows) is None


def test_a_mean_that_is_better_low_has_its_standard_error():
    rows = [{"unguided": {"d": 1.0}, "guided": {"d": value}} for value in (0.2, 0.4)] * 8
    drift = Figure("drift", "d", "low", 0.5, relative=True)
    assert page.value(drift, rows, "guided") == pytest.approx(0.3)
    assert page.error(drift, rows, "guided") == pytest.approx(0.1 * (16 / 15) ** 0.5 / 4)
    assert page.met(drift, rows)
    assert page.met(replace(drift, bound=0.2), rows) is False


def test_a_missing_share_may_be_a_part_of_the_unguided_one_and_mcnemar_tells_chance():
    pair = lambda before, after: {"unguided": {"w": before}, "guided": {"w": after}}
    rows = [pair(0, 1)] * 12 + [pair(1, 0)] * 2 + [pair(0, 0)] * 6 + [pair(1, 1)] * 20
    missing = Figure("missing", "w", "missing", 0.6, relative=True)
    assert page.value(missing, rows, "unguided") == pytest.approx(18 / 40)
    assert page.value(missing, rows, "guided") == pytest.approx(8 / 40)
    assert page.met(missing, rows)
    assert page.met(Figure("missing", "w", "missing", 0.4, relative=True), rows) is False
    # 14 coins of which at most 2, or at least 12, are heads.
    wanted = 2 * (1 + 14 + 91) / 2**14
    test = Figure("p", "w", "p", 0.01)
    assert page.value(test, rows, "guided") == pytest.approx(wanted)
    assert page.value(test, rows, "unguided") is None
    assert page.met(test, rows) is False
    assert page.met(test, 2 * rows)
    assert page.mcnemar([pair(1, 1)], "w") == 1.0


def test_an_image_is_whole_with_each_object_bound_and_nothing_else():
    other = Item("circle", "blue", "small", 96.0, 64.0, 9.0)
    third = Item("triangle", "white", "small", 64.0, 20.0, 9.0)
    seen = lambda *items: Verdict(items, clean=True)
    text = "a big red square and a small blue circle"
    assert better_noise.is_whole(seen(ITEM, other), text)
    assert better_noise.is_whole(seen(other, ITEM), text)
    assert not better_noise.is_whole(seen(ITEM), text)
    assert not better_noise.is_whole(seen(ITEM, other, third), text)
    assert not better_noise.is_whole(seen(ITEM, replace(other, colour="white")), text)
    swapped = replace(ITEM, colour="blue"), replace(other, colour="red")
    assert not better_noise.is_whole(seen(*swapped), text)
    assert not better_noise.is_whole(seen(ITEM, replace(other, size="big")), text)
    assert better_noise.is_whole(seen(ITEM, other, third), text + " and a white triangle")


def test_finished_batches_are_kept_and_those_of_other_weights_dropped(tmp_path):
    path, task = tmp_path / "editing.json", TASKS[0]
    row = {"unguided": {"error": 0.4, "kept": True}, "guided": {"error": 0.05, "kept": True}}
    batch = {**task.identity("w"), "seed": 0, "rows": [row]}
    records.write(path, [batch, {**batch, "settings": "others"}])
    assert editing.read(path, "w") == [batch]
    assert editing.read(path, "v") == []
    text = page.page(editing.figures_of([batch]), "w")
    assert f"| {task.name} | median centroid error | ≤ 0.07 | 0.40 | 0.05 | 1 |" in text


def test_three_objects_each_have_their_own_two_words_bound():
    text = "red circle and blue square and green triangle"
    pairs = [[sources.word(text, name) for name in part.split()] for part in text.split(" and ")]
    (_, nouns), (_, colours), *bound = appearance.together(pairs).parts
    places = lambda words: [word.positions for word in words]
    assert places(nouns.words) == [(2,), (5,), (8,)]
    assert places(colours.words) == [(1,), (4,), (7,)]
    assert [places(binding.words) for _, binding in bound] == [
        [(1,), (2,)],
        [(4,), (5,)],
        [(7,), (8,)],
    ]
    assert places(bound[1][1].others) == [(1,), (2,), (7,), (8,)]


def test_swapped_words_have_a_table_of_their_own_and_are_kept(tmp_path):
    image = {"shown": 1.0, "kept": 1.0, "moved": 0.01, "rest": 1.0, "drift": 0.0, "psnr": 40.0}
    other = {**image, "shown": 0.0, "drift": 0.02, "psnr": 50.0}
    job = swaps.jobs(8, ["Prompt-to-Prompt"])[0]
    path, batch = tmp_path / "editing.json", {**job, "rows": [image, other]}
    records.write(path, [batch, {**batch, "settings": "others"}])
    assert editing.read(path, "w") == [batch]
    (line,) = swaps.table([batch])[2:]
    assert "| 50 ± 35 | 100 ± 0 | 0.010 | 100 ± 0 | 0.010 | 45.0 ± 5.0 | 5 | 2 |" in line
    text = page.page({}, "w", [batch])
    assert "## One word swapped" in text
    assert "## One word" not in page.page({}, "w")


def test_of_captions_of_one_object_no_other_one_is_told():
    job = swaps.jobs(8, ["Prompt-to-Prompt, joint attention"])[0]
    images = [{"shown": 1.0, "kept": 1.0, "moved": 0.01, "psnr": db} for db in (40.0, 50.0)]
    (line,) = swaps.table([{**job, "rows": images}])[2:]
    assert "| 100 ± 0 | 100 ± 0 | 0.010 |  |  | 45.0 ± 5.0 | 3 | 2 |" in line


def test_every_method_is_measured_on_every_swap():
    names = list(swaps.METHODS)
    found = {(job["method"], job["swap"], job["seed"]) for job in swaps.jobs(16, names)}
    assert len(found) == len(names) * len(swaps.SWAPS) * 2
