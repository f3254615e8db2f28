"""The image of the README shows seeds that succeed, and says how many do."""

from __future__ import annotations

import pytest
import torch

from tools.demo import hero


def one(seed: int, hit: bool) -> hero.Try:
    before, after = torch.zeros(3, 128, 128), torch.full((3, 128, 128), seed / 10)
    return hero.Try(seed, before, after, plain=False, hit=hit, contrast=hit)


def test_the_first_seeds_that_succeed_are_shown():
    block = hero.drawn(hero.TASKS[0], [one(seed, hit=seed % 2 == 0) for seed in range(10)])
    left = hero.SIDE + hero.GAP + hero.SIDE // 2
    tops = [hero.HEADING + row * (hero.SIDE + hero.SEED) + hero.SIDE // 2 for row in range(3)]
    assert [block.getpixel((left, top))[0] for top in tops] == [0, 51, 102]
    assert [block.getpixel((hero.SIDE // 2, top))[0] for top in tops] == [0, 0, 0]


def test_too_few_seeds_that_succeed_are_an_error():
    with pytest.raises(ValueError, match="got 2 of 4: raise --tries"):
        hero.drawn(hero.TASKS[0], [one(seed, hit=seed > 1) for seed in range(4)])
