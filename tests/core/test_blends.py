"""Scenes laid over each other, which the segmenter of Shapes is trained on."""

from __future__ import annotations

import pytest
import torch

from guidance_core.shapes import scenes

blends = pytest.importorskip("tools.shapes.blends")


def drawn(count: int = 24) -> list:
    return blends.blends(torch.Generator().manual_seed(3), count)


def test_shares_of_a_blend_make_a_image():
    some = drawn()
    assert {len(blend.scenes) > 1 for blend in some} == {True, False}
    for blend in some:
        assert sum(blend.shares) == pytest.approx(1)
        assert len(blend.shares) == len(blend.scenes) <= blends.MOST


def test_a_picture_is_the_mean_of_its_scenes_by_their_shares():
    blend = next(blend for blend in drawn() if len(blend.scenes) > 1)
    layers = scenes.render(list(blend.scenes))
    expected = sum(share * layer for share, layer in zip(blend.shares, layers, strict=True))
    torch.testing.assert_close(blend.image(), expected)
    assert not torch.allclose(blend.image(), layers.mean(0))


def test_a_scene_is_drawn_as_often_as_its_share_says():
    first, second = (scenes.random_scene(torch.Generator().manual_seed(n)) for n in (1, 2))
    blend, generator = blends.Blend((first, second), (0.8, 0.2)), torch.Generator().manual_seed(3)
    often = sum(blend.drawn(generator) is first for _ in range(500)) / 500
    assert often == pytest.approx(0.8, abs=0.06)
