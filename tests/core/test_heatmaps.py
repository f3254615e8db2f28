"""Attention maps drawn at one size."""

from __future__ import annotations

import pytest
import torch

from guidance_core.attention.heatmaps import heatmaps, heatmaps_by_layer, layer_sizes
from guidance_core.attention.references import Reference
from guidance_core.attention.words import Word
from guidance_core.captures import Attention, Features
from tests.core.toys import seeded


def ramp(side, batch=2, places=5):
    """Attention to place k is k times a ramp from left to right."""
    line = torch.linspace(0, 1, side).expand(batch, 1, side, side)
    return line * torch.arange(places).view(1, -1, 1, 1) / 10


REFERENCE = Reference(
    {
        2.0: {Attention(): (ramp(4), ramp(8)), Features(): (seeded(2, 3, 4, 4),)},
        1.0: {Attention(): (ramp(4).flip(-1), ramp(8).flip(-1)), Features(): (seeded(2, 3, 4, 4),)},
    },
    (8, 8),
)
WORDS = (Word("red", (2,)), Word("circle", (3, 4)))


def test_a_map_goes_from_0_to_1_at_the_size_asked_for():
    maps = heatmaps(REFERENCE, WORDS, 2.0, (16, 24))
    assert maps.shape == (2, 2, 16, 24)
    assert (maps.amin((2, 3)) == 0).all()
    assert (maps.amax((2, 3)) == 1).all()
    assert (maps[..., 1:] >= maps[..., :-1] - 1e-6).all()
    # The nearest noise level: there the ramp falls.
    assert (heatmaps(REFERENCE, WORDS, 0.5, (8, 8))[..., 0] == 1).all()


def test_positions_are_added_and_layers_averaged():
    constant = lambda value: torch.full((1, 1, 2, 2), value)
    peak = torch.zeros(1, 1, 2, 2)
    peak[..., 0, 0] = 0.5
    layers = (torch.cat([peak, constant(0.25)], 1), torch.cat([constant(0.5), peak], 1))
    reference = Reference({1.0: {Attention((3, 4), "all"): layers}}, (2, 2))
    expected = torch.zeros(1, 1, 2, 2)
    expected[..., 0, 0] = 1
    assert torch.equal(heatmaps(reference, WORDS[1:], 1.0, (2, 2)), expected)


def test_words_that_were_not_recorded_are_named():
    reference = Reference({1.0: {Attention((2,)): (ramp(4, places=1),)}}, (4, 4))
    with pytest.raises(ValueError, match="recorded was"):
        heatmaps(reference, WORDS, 1.0, (4, 4))
    only_features = Reference({1.0: {Features(): (ramp(4),)}}, (4, 4))
    with pytest.raises(ValueError, match="recorded was features of the default layers"):
        heatmaps(only_features, WORDS, 1.0, (4, 4))
    with pytest.raises(ValueError, match="no words"):
        heatmaps(reference, (), 1.0, (4, 4))


def test_layers_stand_after_their_mean_each_stretched_alone():
    maps = heatmaps_by_layer(REFERENCE, WORDS, 1.0, (8, 8))
    assert maps.shape == (2, 3, 2, 8, 8)
    assert torch.equal(maps[:, 0], heatmaps(REFERENCE, WORDS, 1.0, (8, 8)))
    assert (maps.amin((3, 4)) == 0).all()
    assert (maps.amax((3, 4)) == 1).all()
    # The second layer is drawn in its own size, the first one is enlarged.
    assert torch.allclose(maps[:, 2, 0], torch.linspace(1, 0, 8).expand(2, 8, 8), atol=1e-3)
    assert not torch.allclose(maps[:, 1], maps[:, 2], atol=1e-3)
    assert layer_sizes(REFERENCE, WORDS) == [(4, 4), (8, 8)]
