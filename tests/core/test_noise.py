"""Random numbers of a key: the same everywhere, another for every key and row."""

from __future__ import annotations

import pytest
import torch

from guidance_core.noise import mixed_seed, seeded, seeded_noise


def test_a_row_depends_on_the_key_and_its_number_alone():
    like = torch.zeros(3, 4, 5)
    noise = seeded_noise(like, 7, 0.5)
    assert torch.equal(seeded_noise(like[:2], 7, 0.5), noise[:2])
    torch.rand(9)
    assert torch.equal(seeded_noise(like, 7, 0.5), noise)
    rows = [*noise, *seeded_noise(like, 8, 0.5), *seeded_noise(like, 7, 0.25)]
    assert len({tuple(row.flatten().tolist()) for row in rows}) == 9


def test_noise_is_standard_normal_in_the_type_of_its_like():
    noise = seeded_noise(torch.zeros(2, 100, 100, dtype=torch.float64), 3)
    assert noise.dtype == torch.float64
    for row in noise:
        assert float(row.mean()) == pytest.approx(0, abs=0.03)
        assert float(row.std()) == pytest.approx(1, abs=0.03)


def test_a_seed_is_the_same_on_every_machine_and_fits_a_generator():
    """Saved images depend on it: blake2b of the key's text, 8 bytes, without the last bit."""
    assert mixed_seed(0, 1.0) == 4496522863549687254
    assert all(0 <= mixed_seed(k) < 2**63 for k in range(200))
    assert max(mixed_seed(k) for k in range(200)) > 2**62
    assert len({mixed_seed(1, 2), mixed_seed(2, 1), mixed_seed(12), mixed_seed(1.0, 2)}) == 4


def test_seeding_puts_the_generator_back_after_errors_too():
    state = torch.random.get_rng_state()
    with seeded(5):
        drawn = torch.rand(2)
    assert torch.equal(torch.random.get_rng_state(), state)

    def fails():
        with seeded(5):
            raise KeyError(float(torch.rand(())))

    with pytest.raises(KeyError):
        fails()
    assert torch.equal(torch.random.get_rng_state(), state)
    with seeded(5):
        assert torch.equal(torch.rand(2), drawn)
