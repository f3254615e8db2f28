"""Energies that keep what another run had: features, looks, outlines, in and out of masks."""

from __future__ import annotations

import pytest
import torch

from guidance_core.attention.references import Reference
from guidance_core.attention.words import Word
from guidance_core.captures import Attention, Features
from guidance_core.energies.appearance import Appearance
from guidance_core.energies.attention_keep import AttentionKeep
from guidance_core.energies.feature_keep import FeatureKeep
from guidance_core.energies.shape import Shape
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, levels, seeded

ONE = (Word("circle", (0,)),)
MAP, FEATURES = Attention((0,)), Features()


def halves(size: int = 4) -> torch.Tensor:
    """A mask of the left half."""
    mask = torch.zeros(size, size, dtype=DOUBLE)
    mask[:, : size // 2] = 1
    return mask


def recorded(**captures: torch.Tensor) -> Reference:
    requests = {"maps": MAP, "features": FEATURES}
    size = next(iter(captures.values())).shape[-2:]
    return Reference({1.0: {requests[k]: (v,) for k, v in captures.items()}}, tuple(size))


def here(maps: torch.Tensor | None = None, features: torch.Tensor | None = None) -> Estimate:
    captures = {MAP: (maps,), FEATURES: (features,)}
    shown = {request: value for request, value in captures.items() if value[0] is not None}
    values = features if maps is None else maps
    return Estimate(values, levels(1.0, len(values)), captures=shown)


def test_kept_features_are_measured_by_the_power_inside_their_mask():
    there = torch.ones(1, 3, 4, 4, dtype=DOUBLE)
    there[..., 2:] = 50  # outside: must not count
    now = there.clone()
    now[..., :2] += torch.tensor([0.5, 0.0, -1.0], dtype=DOUBLE).view(3, 1, 1)
    now[..., 2:] -= 7
    energy = FeatureKeep(recorded(features=there), halves())
    assert_close(energy(here(features=now)), torch.tensor([1.25 / 3], dtype=DOUBLE))


def test_a_soft_mask_weights_change_and_power_alike():
    there, now = seeded(1, 3, 4, 4).half().double(), seeded(2, 3, 4, 4, seed=1)
    mask = seeded(4, 4, seed=2).sigmoid()
    change = (mask * (now - there).square()).sum((1, 2, 3))
    expected = change / (mask * there.square()).sum()
    assert_close(FeatureKeep(recorded(features=there), mask)(here(features=now)), expected)
    whole = (now - there).square().sum((1, 2, 3)) / there.square().sum()
    assert_close(FeatureKeep(recorded(features=there))(here(features=now)), whole)


def test_each_sample_keeps_its_own_features_in_its_own_mask():
    there, now = seeded(2, 3, 4, 4).half().double(), seeded(2, 3, 4, 4, seed=1)
    masks = torch.stack([halves(), 1 - halves()])
    both = FeatureKeep(recorded(features=there), masks)(here(features=now))
    for i in range(2):
        alone = FeatureKeep(recorded(features=there[i : i + 1]), masks[i])
        assert_close(both[i : i + 1], alone(here(features=now[i : i + 1])))


def test_layers_of_features_count_alike_whatever_their_size():
    there = seeded(1, 3, 4, 4).half().double(), seeded(1, 5, 2, 2).half().double()
    now = 1.5 * there[0], 3 * there[1]
    reference = Reference({1.0: {FEATURES: there}}, (4, 4))
    estimate = Estimate(now[0], levels(1.0, 1), captures={FEATURES: now})
    energy = FeatureKeep(reference)(estimate)
    assert_close(energy, torch.tensor([(0.25 + 4) / 2], dtype=DOUBLE))


def test_kept_attention_of_words_is_a_sum_over_tokens_and_a_mean_over_places():
    there, now = seeded(1, 3, 4, 6).sigmoid().half().double(), seeded(2, 3, 4, 6, seed=1).sigmoid()
    request = Attention((2, 5, 7))
    reference = Reference({1.0: {request: (there,)}}, (4, 6))
    words = Word("red", (2,)), Word("circle", (5, 7))
    estimate = Estimate(now, levels(1.0), captures={request: (now,)})
    expected = (now - there).square().sum(1).mean((1, 2))
    assert_close(AttentionKeep(reference, words)(estimate), expected)


def ladder() -> torch.Tensor:
    """A map with cells at 0, 0.35, 0.45, 0.55, 0.65 and 1 of its range."""
    heights = torch.tensor([0.0, 0.35, 0.45, 0.55, 0.65, 1.0, 0.0, 0.0, 0.0], dtype=DOUBLE)
    return 0.2 + 0.5 * heights.view(1, 1, 3, 3)


def test_looks_are_compared_where_a_word_has_more_than_half_of_its_peak():
    """The published mask is hard: [norm(A) > 0.5]."""
    features = torch.arange(9, dtype=DOUBLE).square().view(1, 1, 3, 3)
    there = recorded(maps=ladder(), features=0 * features)
    energy = Appearance(ONE, there)(here(ladder(), features))
    inside = (3**2 + 4**2 + 5**2) / 3  # the cells at 0.55, 0.65 and 1
    assert_close(energy, torch.tensor([inside**2], dtype=DOUBLE))


def test_a_look_is_that_of_the_references_own_mask():
    features = seeded(1, 2, 3, 3).half().double()
    turned = lambda values: values.flip(-1)
    there = recorded(maps=turned(ladder()), features=turned(features))
    assert_close(Appearance(ONE, there)(here(ladder(), features)), torch.zeros(1, dtype=DOUBLE))


def test_a_masks_position_is_a_constant_to_a_look():
    maps = ladder().requires_grad_()
    features = seeded(1, 2, 3, 3).requires_grad_()
    there = recorded(maps=ladder(), features=seeded(1, 2, 3, 3, seed=1))
    value = Appearance(ONE, there)(here(maps, features)).sum()
    slopes = torch.autograd.grad(value, (maps, features), allow_unused=True)
    assert slopes[0] is None
    assert torch.equal((slopes[1] != 0).any(1)[0], ladder()[0, 0] > 0.45)


def test_outlines_of_a_reference_are_what_has_more_than_half_of_its_peak():
    there = recorded(maps=ladder())
    square = torch.zeros(3, 3, dtype=DOUBLE)
    square.view(-1)[[3, 4, 5]] = 1
    flat = torch.zeros(1, 1, 3, 3, dtype=DOUBLE)
    flat.view(-1)[[3, 4, 5]] = 0.4
    assert_close(Shape(ONE, reference=there)(here(flat)), torch.zeros(1, dtype=DOUBLE))
    assert_close(Shape(ONE, outline=square)(here(flat)), torch.zeros(1, dtype=DOUBLE))


@pytest.mark.parametrize(("value", "inside"), [(0.49, 0), (0.5, 1)])
def test_an_outline_counts_from_half_coverage(value, inside):
    outline = torch.tensor([[1.0, value], [0.0, 0.0]], dtype=DOUBLE)
    maps = torch.tensor([[[[1.0, inside], [0.0, 0.0]]]], dtype=DOUBLE)
    assert_close(Shape(ONE, outline)(here(maps)), torch.zeros(1, dtype=DOUBLE))


def test_a_word_that_is_nowhere_has_a_look_of_zero():
    flat, features = torch.full((1, 1, 3, 3), 0.2, dtype=DOUBLE), seeded(1, 2, 3, 3)
    there = recorded(maps=ladder(), features=torch.full((1, 2, 3, 3), 2.0, dtype=DOUBLE))
    assert_close(Appearance(ONE, there)(here(flat, features)), torch.tensor([4.0], dtype=DOUBLE))


def test_features_of_zero_are_kept_by_zeros():
    nothing = torch.zeros(1, 2, 3, 3, dtype=DOUBLE)
    energy = FeatureKeep(recorded(features=nothing))
    assert_close(energy(here(features=nothing)), torch.zeros(1, dtype=DOUBLE))
