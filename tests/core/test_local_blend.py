"""An image kept as it is outside of words, and the states of a source."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance_core.procedures.inversion import Path
from guidance_core.procedures.local_blend import States, blend_mask, held, states_of


@given(st.floats(0.05, 1.0), st.integers(0, 2**31))
def test_a_step_with_the_held_estimate_leads_where_the_source_goes(share, seed):
    generator = torch.Generator().manual_seed(seed)
    x, source, x0 = torch.randn(3, 1, 4, 3, 3, generator=generator, dtype=torch.float64)
    step = lambda latent, estimate: (1 - share) * latent + share * estimate
    torch.testing.assert_close(step(x, held(x, source, x0, share)), step(source, x0))


def test_where_latents_agree_the_estimate_is_the_sources_own():
    x, x0 = torch.randn(2, 1, 4, 3, 3)
    assert torch.equal(held(x, x, x0, 0.3), x0)


def test_the_mask_is_where_attention_is_high_and_one_cell_around():
    maps = torch.zeros(1, 8, 8)
    maps[0, 2, 2], maps[0, 6, 6] = 1.0, 0.2
    mask = blend_mask(maps, (16, 16), 0.3)
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[2:8, 2:8] = True
    assert torch.equal(mask[0, 0], expected)
    assert blend_mask(maps, (16, 16), 0.1).sum() == 2 * 36
    assert not blend_mask(torch.zeros(1, 4, 4), (8, 8), 0.3).any()


def test_each_sample_has_its_own_largest_value():
    maps = torch.rand(1, 8, 8)
    both = blend_mask(torch.cat([maps, 100 * maps]), (8, 8), 0.5)
    assert torch.equal(both[0], both[1])


def test_the_estimates_of_a_path_lead_along_it():
    sigmas = torch.tensor([8.0, 3.0, 1.0, 0.0], dtype=torch.float64)
    path = Path(sigmas, torch.randn(4, 2, 4, 3, 3, dtype=torch.float64))
    states = states_of(path)
    for high, low, x, following in zip(
        sigmas[:-1], sigmas[1:], path.states[:-1], path.states[1:], strict=True
    ):
        there, x0 = states.at(float(high))
        assert torch.equal(there, x)
        torch.testing.assert_close(x + (low - high) * (x - x0) / high, following)


def test_between_two_levels_states_lie_on_a_line():
    low, high = torch.zeros(1, 1), torch.ones(1, 1)
    states = States({1.0: (low, low), 3.0: (high, 2 * high)})
    x, x0 = states.at(1.5)
    assert float(x) == 0.25
    assert float(x0) == 0.5
    assert states.at(9.0)[0] is high
    assert states.at(0.1)[0] is low
    with pytest.raises(ValueError, match="no states"):
        States({})
