"""What lies between two images: arcs, statistics, and samples that are evenly apart."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from guidance_core.image.perceptual import perceptual
from guidance_core.procedures.inversion import Path
from guidance_core.procedures.morphing import (
    between,
    evenly,
    onward,
    refined,
    sampled_evenly,
    slerp,
    weights_of,
    with_statistics,
)

SHARES = torch.tensor([0.0, 0.25, 0.5, 1.0])


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_arc_between_two_equal_latents_is_that_latent():
    one = randn(4, 8, 8)
    assert torch.equal(slerp(one, one, SHARES), one.expand(4, 4, 8, 8))


def test_the_arc_begins_and_ends_at_the_latents_bit_for_bit():
    one, other = randn(4, 8, 8), 3 * randn(4, 8, 8, seed=1)
    arc = slerp(one, other, SHARES)
    assert torch.equal(arc[0], one)
    assert torch.equal(arc[-1], other)


def test_the_arc_between_the_axes_is_the_unit_circle_at_even_angles():
    one, other = torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[0.0, 1.0]]).double()
    shares = torch.linspace(0, 1, 7).double()
    angles = shares * math.pi / 2
    truth = torch.stack([angles.cos(), angles.sin()], 1)
    torch.testing.assert_close(slerp(one, other, shares)[:, 0], truth)


def test_latents_in_one_direction_are_mixed_linearly():
    one = randn(4, 8, 8)
    torch.testing.assert_close(slerp(one, 3 * one, SHARES)[2], 2 * one)


def path(seed, count=1, levels=(3.0, 1.0, 0.0), size=8):
    return Path(torch.tensor(levels), randn(len(levels), count, 4, size, size, seed=seed))


def test_a_path_between_two_is_on_the_arc_at_every_level():
    one, other = path(1), path(2)
    found = between(one, other, SHARES)
    for states, a, b in zip(found.states, one.states, other.states, strict=True):
        assert torch.equal(states, slerp(a[0], b[0], SHARES))
    assert torch.equal(found.sigmas, one.sigmas)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            path(2, size=4),
            "both images of a morph must have one size, got latents of 4 x 8 x 8 and",
        ),
        (path(2, count=2), "got a path of 2 images: invert one image at a time"),
        (path(2, levels=(3.0, 2.0, 0.0)), "both paths of a morph must have the same noise levels"),
        (path(2, levels=(3.0, 0.0)), "both paths of a morph must have the same noise levels"),
    ],
)
def test_paths_that_do_not_fit_together_are_refused(other, message):
    with pytest.raises(ValueError, match=message):
        between(path(1), other, SHARES)


def test_adapted_latents_have_the_statistics_between_both_ends():
    latents, ends = (
        5 + 2 * randn(4, 3, 8, 8),
        torch.stack([randn(3, 8, 8, seed=1), 7 * randn(3, 8, 8, seed=2)]),
    )
    ends[1, 0] += 4
    found = with_statistics(latents, ends, SHARES, 1.0)
    for row, share in zip(found, SHARES.tolist(), strict=True):
        for channel in range(3):
            a, b = ends[:, channel]
            mean = (1 - share) * a.mean() + share * b.mean()
            std = (1 - share) * a.std(correction=0) + share * b.std(correction=0)
            torch.testing.assert_close(row[channel].mean(), mean, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(row[channel].std(correction=0), std, rtol=1e-4, atol=1e-4)


def test_at_strength_0_latents_stay_and_an_end_adapted_to_itself_too():
    latents, ends = randn(2, 3, 8, 8), randn(2, 3, 8, 8, seed=1)
    shares = torch.tensor([0.0, 1.0])
    assert with_statistics(latents, ends, shares, 0.0) is latents
    torch.testing.assert_close(with_statistics(ends, ends, shares, 1.0), ends)


def test_each_row_is_weighted_by_its_own_share():
    assert torch.equal(weights_of(SHARES)[1], torch.tensor([0.75, 0.25]))


def test_the_chosen_samples_are_the_most_even_of_all_choices():
    features = randn(9, 3).cumsum(0)
    chosen = evenly(features, 5).tolist()
    powers = lambda order: sum(
        float((features[a] - features[b]).norm()) ** 8 for a, b in itertools.pairwise(order)
    )
    every = [(0, *middle, 8) for middle in itertools.combinations(range(1, 8), 3)]
    assert chosen == list(min(every, key=powers))


def test_what_leads_back_is_left_out():
    way = torch.tensor([0.0, 2.0, 1.0, 3.0, 0.5, 2.5, 4.0, 3.5, 5.0])[:, None]
    # Of the longest chains that rise: 0, 1, 2.5, 3.5, 5 and others have five or six.
    chain = onward(way).tolist()
    places = way[chain, 0].tolist()
    assert (chain[0], chain[-1]) == (0, 8)
    assert places == sorted(places)
    every = [
        order
        for count in range(2, 10)
        for middle in itertools.combinations(range(1, 8), count - 2)
        if (order := (0, *middle, 8))
        and sorted(way[list(order), 0].tolist()) == way[list(order), 0].tolist()
    ]
    assert len(chain) == max(map(len, every))


def test_ends_that_look_alike_are_a_chain_of_two():
    assert onward(torch.zeros(4, 2)).tolist() == [0, 3]


def test_on_a_curve_of_known_length_samples_are_evenly_apart():
    # A line that is walked along as the seventh power: evenly apart are the roots.
    line = lambda shares: shares[:, None].double() ** 7 @ torch.ones(1, 3).double()
    shares, features = sampled_evenly(line, 5, 200)
    assert shares[0] == 0
    assert shares[-1] == 1
    torch.testing.assert_close(shares, (torch.linspace(0, 1, 5)) ** (1 / 7), rtol=0, atol=0.02)
    steps = (features[1:] - features[:-1]).norm(dim=1)
    assert steps.max() < 1.05 * steps.mean()
    # Without a choice shares are evenly apart, and steps are not.
    shares, features = sampled_evenly(line, 5, 5)
    assert torch.equal(shares, torch.linspace(0, 1, 5))
    steps = (features[1:] - features[:-1]).norm(dim=1)
    assert steps.max() > 3 * steps.mean()


def test_the_widest_steps_are_parted_evenly():
    features = torch.tensor([[0.0], [1.0], [7.0], [9.5]])
    shares = torch.tensor([0.0, 0.2, 0.6, 1.0])
    # Of 6, 2.5 and 1 three new samples make parts of 2, 2, 2 and 1.25: none is above 2.
    truth = torch.tensor([0.2 + 0.4 / 3, 0.2 + 0.8 / 3, 0.8])
    torch.testing.assert_close(refined(shares, features, 3), truth)


def test_a_jump_is_looked_into_until_there_is_none():
    # All that changes does so between 0.400 and 0.401.
    steep = lambda shares: ((shares[:, None].double() - 0.4) / 0.001).clamp(0, 1)
    shares, features = sampled_evenly(steep, 5, 40)
    steps = (features[1:] - features[:-1]).norm(dim=1)
    assert steps.max() < 1.5 * steps.mean()
    assert shares[1] > 0.4
    assert shares[-2] < 0.401


def test_of_few_samples_no_more_are_chosen():
    with pytest.raises(ValueError, match="expected 2 to 3 of these samples, got 4"):
        evenly(randn(3, 2), 4)


def test_colours_are_compared_in_units_of_white():
    black, white = torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16)
    features = perceptual(torch.cat([black, white, white]))
    torch.testing.assert_close(
        (features[0] - features[1]).norm(), torch.tensor(1.0), rtol=1e-4, atol=1e-4
    )
    assert torch.equal(features[1], features[2])


class Blocks(torch.nn.Module):
    """Feature maps that are known."""

    def blocks(self, images):
        return [images[:, :2], 5 * images[:, :, ::2, ::2]]


def test_feature_vectors_count_by_their_direction_alone():
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(3)) + 0.1
    features = perceptual(images, Blocks())
    truth = 0.0
    for block in Blocks().blocks(images):
        unit = block / block.square().sum(1, keepdim=True).sqrt()
        truth += float((unit[0] - unit[1]).square().sum(0).mean()) / 2
    torch.testing.assert_close((features[0] - features[1]).square().sum(), torch.tensor(truth))
