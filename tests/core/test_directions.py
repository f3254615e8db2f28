"""Edit directions of text states."""

from __future__ import annotations

import pytest
import torch

from guidance_core.procedures.edit_directions import edit_direction, mean_states, move_states
from tests.core.toys import DOUBLE, assert_close, seeded


def test_a_direction_is_the_difference_of_two_means():
    a, b, c = (seeded(1, 4, 3, seed=seed) for seed in range(3))
    assert_close(edit_direction([a, b], [c]), c - (a + b) / 2)


def test_positions_count_only_sentences_that_reach_them():
    short, long = seeded(1, 2, 3), seeded(1, 4, 3, seed=1)
    mean = mean_states([short, long])
    assert_close(mean[:, :2], (short + long[:, :2]) / 2)
    assert_close(mean[:, 2:], long[:, 2:])
    assert edit_direction([short], [long]).shape == (1, 2, 3)


def test_states_beyond_the_direction_stay():
    states, direction = seeded(2, 5, 3), seeded(1, 2, 3, seed=1)
    result = move_states(states, direction, 0.5)
    assert_close(result[:, :2], states[:, :2] + 0.5 * direction)
    assert torch.equal(result[:, 2:], states[:, 2:])
    longer = move_states(states[:, :1], direction, 2.0)
    assert_close(longer, states[:, :1] + 2 * direction[:, :1])
    assert torch.equal(move_states(states, direction, 0.0), states)


def test_the_direction_leads_from_source_to_target():
    source, target = [seeded(1, 4, 3)], [seeded(1, 4, 3, seed=1)]
    assert_close(move_states(source[0], edit_direction(source, target), 1.0), target[0])
    assert move_states(source[0].float(), edit_direction(source, target), 1.0).dtype != DOUBLE


def test_no_sentences_are_refused():
    with pytest.raises(ValueError, match="at least one sentence"):
        edit_direction([], [seeded(1, 2, 3)])
