"""FlowEdit on Gaussians, where the edit is known, and against the published algorithm."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from guidance_core.procedures.flow_edit import Along, FlowEdit, Noised
from guidance_core.procedures.inversion import Path
from tests.core.toys import DOUBLE, assert_close
from tests.ground_truth import Mixture, flow, three_hills, ve

SEEDED = lambda: torch.Generator().manual_seed(1)
FAMILIES = pytest.mark.parametrize("alpha", [flow, ve])
MEANS = torch.tensor([[0.4, -0.7], [1.3, 0.2]], dtype=DOUBLE)
IMAGE = torch.tensor([[0.9, -0.1], [-0.5, 0.3], [0.1, 1.4]], dtype=DOUBLE)


def gaussian(which: int, variance: float, alpha) -> Mixture:
    one = torch.ones(1, dtype=DOUBLE)
    return Mixture(one, MEANS[which][None], variance * one, alpha)


def levels(alpha, count: int, most: float) -> torch.Tensor:
    """Noise levels whose flow times fall evenly from `most` to 0."""
    times = torch.linspace(most, 0.0, count + 1, dtype=DOUBLE)
    return times if alpha is flow else times / (1 - times)


def near(found, expected):
    """Up to what a thousand steps of Euler leave."""
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-3)


def edited(source, target, sigmas, alpha, states=None, **options):
    states = Noised(IMAGE, sigmas, alpha, seed=3) if states is None else states
    return FlowEdit(**options)(source.denoise, target.denoise, states, sigmas, alpha)


@FAMILIES
@pytest.mark.parametrize("most", [0.5, 0.9])
def test_between_gaussians_of_one_width_the_edit_is_a_known_part_of_their_distance(alpha, most):
    """d(0) = (m2 - m1) (1 - (1 - t) s / sqrt((1 - t)^2 s^2 + t^2)), whatever the noise."""
    variance = 0.6
    sides = (gaussian(k, variance, alpha) for k in (0, 1))
    found = edited(*sides, levels(alpha, 1000, most), alpha)
    spread = ((1 - most) ** 2 * variance + most**2) ** 0.5
    expected = (MEANS[1] - MEANS[0]) * (1 - (1 - most) * variance**0.5 / spread)
    near(found, expected.expand_as(IMAGE))


@FAMILIES
def test_along_the_inverted_path_a_gaussian_is_carried_into_another(alpha):
    """From pure noise the two probability flows compose to m2 + s2 / s1 (x - m1)."""
    first, second, most = 0.3, 0.8, 0.9999
    sigmas = levels(alpha, 1000, most)
    times = levels(flow, 1000, most)[:, None, None]
    spread = ((1 - times) ** 2 * first + times**2).sqrt()
    states = (1 - times) * MEANS[0] + spread / first**0.5 * (IMAGE - MEANS[0])
    own = states if alpha is flow else states / (1 - times)
    path = Along(Path(sigmas, own), 0, IMAGE)
    sides = gaussian(0, first, alpha), gaussian(1, second, alpha)
    found = edited(*sides, sigmas, alpha, path)
    expected = MEANS[1] + (second / first) ** 0.5 * (IMAGE - MEANS[0])
    near(IMAGE + found, expected)


def published(source, target, sigmas, states, draws, alone):
    """Algorithm 1 of the paper, in velocities, for a flow."""
    velocity = lambda side, x, t: (x - side.denoise(x, t.expand(len(x))).x0) / t
    count, z = len(sigmas) - 1, IMAGE.clone()
    steps = list(enumerate(pairwise(sigmas)))
    for i, (t, following) in steps[: count - alone]:
        total = torch.zeros_like(z)
        for k in range(draws):
            noisy = states(i, i, k)
            total += velocity(target, z + noisy - IMAGE, t) - velocity(source, noisy, t)
        z = z + (following - t) * total / draws
    if alone:
        x = z + states(count - alone, count - alone, 0) - IMAGE
        for _, (t, following) in steps[count - alone :]:
            x = x + (following - t) * velocity(target, x, t)
        z = x
    return z


@pytest.mark.parametrize(("draws", "alone"), [(1, 0), (3, 0), (2, 2)])
def test_a_flow_is_edited_by_the_published_algorithm(draws, alone):
    sigmas = levels(flow, 7, 0.8)
    source, target = three_hills(flow), gaussian(1, 0.4, flow)
    states = Noised(IMAGE, sigmas, flow, seed=3)
    found = edited(source, target, sigmas, flow, draws=draws, alone=alone)
    wanted = published(source, target, sigmas, states, draws, alone)
    assert_close(IMAGE + found, wanted)


@pytest.mark.parametrize("alone", [0, 2])
def test_models_of_noise_and_flows_are_edited_alike(alone):
    sides = lambda alpha: (three_hills(alpha), gaussian(1, 0.4, alpha))
    first, other = (
        edited(*sides(alpha), levels(alpha, 7, 0.8), alpha, draws=2, alone=alone)
        for alpha in (flow, ve)
    )
    assert_close(first, other)


@FAMILIES
@pytest.mark.parametrize("options", [{}, {"draws": 2}])
def test_the_sources_own_prompt_changes_nothing(alpha, options):
    side = three_hills(alpha)
    found = edited(side, side, levels(alpha, 5, 0.9), alpha, **options)
    assert torch.equal(found, torch.zeros_like(IMAGE))


def test_a_path_however_coarse_leads_the_source_back():
    sigmas = levels(flow, 3, 0.9)
    states = torch.randn(4, *IMAGE.shape, dtype=DOUBLE, generator=SEEDED())
    side = three_hills(flow)
    found = edited(side, side, sigmas, flow, Along(Path(sigmas, states), 0, IMAGE))
    assert torch.equal(found, torch.zeros_like(IMAGE))


@FAMILIES
def test_steps_alone_are_the_samplers_from_where_the_edit_has_come_to(alpha):
    sigmas = levels(alpha, 4, 0.9)
    path = Path(sigmas, torch.randn(5, *IMAGE.shape, dtype=DOUBLE, generator=SEEDED()))
    source, target = three_hills(alpha), gaussian(1, 0.4, alpha)
    found = edited(source, target, sigmas, alpha, Along(path, 0, IMAGE), alone=3)
    # One step together, from the top of the path; Euler's with the target's prompt after it.
    estimates = [side.denoise(path.states[0], sigmas[0].expand(3)).x0 for side in (target, source)]
    sizes = alpha(sigmas) + sigmas
    share = 1 - sigmas[1] / sizes[1] * sizes[0] / sigmas[0]
    x = path.states[1] + sizes[1] * share * (estimates[0] - estimates[1])
    for sigma, following in pairwise(sigmas[1:]):
        x0 = target.denoise(x, sigma.expand(3)).x0
        x = x0 + following / sigma * (x - x0)
    assert_close(path.states[-1] + found, x)


def test_outside_the_mask_nothing_changes_and_a_sample_alone_is_that_of_its_batch():
    sigmas = levels(flow, 5, 0.9)
    sides = three_hills(flow), gaussian(1, 0.4, flow)
    mask = torch.tensor([[1.0, 0.0]], dtype=DOUBLE)
    found = edited(*sides, sigmas, flow, mask=mask, alone=1)
    assert torch.equal(found[:, 1], torch.zeros(3, dtype=DOUBLE))
    assert found[:, 0].abs().min() > 0.01
    alone = Noised(IMAGE[2:], sigmas, flow, seed=3, numbers=(2,))
    again = edited(*sides, sigmas, flow, alone, mask=mask, alone=1)
    assert torch.equal(again, found[2:])
    other = Noised(IMAGE, sigmas, flow, seed=4)
    assert not torch.equal(edited(*sides, sigmas, flow, other, mask=mask, alone=1), found)


@pytest.mark.parametrize("options", [{"draws": 0}, {"alone": -1}])
def test_impossible_numbers_are_refused(options):
    with pytest.raises(ValueError, match="expected draws >= 1 and alone >= 0"):
        FlowEdit(**options)
