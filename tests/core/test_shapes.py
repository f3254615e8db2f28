"""Scenes say what they draw, and the oracle reads it back from the pixels."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.scenes import Item, Scene

ONE = Item("circle", "red", "big", 40.0, 50.0, 20.0)
TWO = Item("square", "blue", "small", 100.0, 100.0, 13.0)


def drawn(*items: Item) -> torch.Tensor:
    """One picture of these objects."""
    return scenes.render([Scene(items)])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_oracle_reads_every_scene_back(seed: int) -> None:
    scene = scenes.random_scene(torch.Generator().manual_seed(seed))
    (verdict,) = oracle.judge(scenes.render([scene]))
    assert verdict.clean
    assert verdict.matches(scene.caption())
    by_place = sorted(verdict.items, key=lambda i: (round(i.x), round(i.y)))
    truth = sorted(scene.items, key=lambda i: (round(i.x), round(i.y)))
    for found, item in zip(by_place, truth, strict=True):
        assert math.hypot(found.x - item.x, found.y - item.y) < 1
        assert found.radius == pytest.approx(item.radius, rel=0.05)


def test_areas_of_shapes_are_equal() -> None:
    areas = [scenes.inside(replace(ONE, shape=shape)).sum().item() for shape in scenes.SHAPES]
    assert areas == pytest.approx([math.pi * ONE.radius**2] * 3, rel=0.04)


def test_same_generator_same_scene() -> None:
    first, second = (
        scenes.random_scene(torch.Generator().manual_seed(3), count=2) for _ in range(2)
    )
    assert first == second
    assert len(first.items) == 2


def test_caption_names_no_place_and_can_leave_words_out() -> None:
    scene = Scene((ONE, TWO))
    assert scene.caption() == "a big red circle and a small blue square"
    assert scene.caption(("colour", "shape")) == "a red circle and a blue square"


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a big red circle and a small blue square", True),
        ("a small blue square and a big red circle", True),
        ("a circle and a square", True),
        ("a big red circle", False),
        ("a big blue circle and a small red square", False),
        ("a big red circle and a big blue square", False),
    ],
)
def test_caption_must_name_every_object_and_bind_its_words(caption: str, expected: bool) -> None:
    (verdict,) = oracle.judge(drawn(ONE, TWO))
    assert verdict.matches(caption) is expected


def test_labels_are_read() -> None:
    (verdict,) = oracle.judge(drawn(ONE, TWO))
    assert [label for label in scenes.LABELS if verdict.has(label)] == [
        "circle",
        "square",
        "red",
        "blue",
        "small",
        "big",
    ]
    with pytest.raises(ValueError, match="label must be one of circle"):
        verdict.has("hexagon")


def test_spoilt_pictures_are_not_clean() -> None:
    fine = drawn(ONE)
    empty = drawn(ONE)
    empty[:] = torch.tensor(scenes.BACKGROUND).view(3, 1, 1) / 255
    dirt = fine.clone()
    dirt[:, :, 100:108, 100:108] = 1.0
    halves = fine.clone()
    halves[:, :, :, 40:] = drawn(replace(ONE, colour="green"))[:, :, :, 40:]
    cut = drawn(replace(ONE, x=5.0))
    three = drawn(ONE, TWO, replace(TWO, x=20.0))
    merged = drawn(ONE, replace(ONE, x=70.0))
    odd_colour = torch.where(fine == drawn(ONE), fine * 0.5, fine)
    spoilt = torch.cat([empty, dirt, halves, cut, three, merged, odd_colour])
    assert [v.clean for v in oracle.judge(torch.cat([fine, spoilt]))] == [True] + [False] * 7


def test_connected_parts_wind_around_corners() -> None:
    mask = torch.zeros(9, 9, dtype=torch.bool)
    mask[0, :] = mask[:, 8] = mask[8, :] = True
    mask[4, 4] = True
    parts = oracle.components(mask.numpy())
    assert sorted(int(p.sum()) for p in parts) == [1, 25]


def test_pictures_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="expected images of B x 3 x 128 x 128, got"):
        oracle.judge(torch.zeros(1, 3, 64, 64))
