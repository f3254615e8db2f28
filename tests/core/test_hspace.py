"""Directions in h-space: differences, components, levels between levels, files."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import save_file

from guidance_core.networks import hspace
from guidance_core.networks.hspace import (
    Direction,
    ShiftNetwork,
    Site,
    TrainedDirection,
)
from guidance_core.procedures.hspace_directions import mean_difference, principal_component

SITE = Site("UNetModel", "middle.0", 6, 4)


def direction(shape=(3, 6, 2, 2), sigmas=(8.0, 2.0, 0.5)):
    generator = torch.Generator().manual_seed(1)
    return Direction(SITE, sigmas, torch.randn(shape, generator=generator))


def test_a_shift_is_linear_in_the_logarithm_of_sigma_and_constant_beyond_the_levels():
    found, h = direction(), torch.zeros(2, 6, 2, 2)
    for number, level in enumerate(found.sigmas):
        assert torch.equal(found(h, level), found.shifts[number : number + 1])
    assert torch.equal(found(h, 100.0), found.shifts[:1])
    assert torch.equal(found(h, 1e-3), found.shifts[2:])
    part = math.log(8 / 5) / math.log(8 / 2)
    between = (1 - part) * found.shifts[:1] + part * found.shifts[1:2]
    torch.testing.assert_close(found(h, 5.0), between)


def test_one_shift_for_all_places_suits_every_size_and_a_map_is_scaled():
    alike = direction((3, 6, 1, 1))
    assert alike(torch.zeros(1, 6, 5, 7), 2.0).shape == (1, 6, 1, 1)
    flat = Direction(SITE, (1.0,), torch.ones(1, 6, 2, 2))
    torch.testing.assert_close(flat(torch.zeros(1, 6, 5, 7), 1.0), torch.ones(1, 6, 5, 7))


def test_the_mean_difference_is_that_of_the_means():
    generator = torch.Generator().manual_seed(2)
    source, target = (torch.randn(5, 3, 6, 2, 2, generator=generator) for _ in range(2))
    by_hand = sum((target[k] - source[k]) / 5 for k in range(5))
    torch.testing.assert_close(mean_difference(source, target, each_place=True), by_hand)
    alike = mean_difference(source, target, each_place=False)
    torch.testing.assert_close(alike[..., 0, 0], by_hand.flatten(2).mean(2))


def test_principal_components_are_those_that_the_data_were_made_of():
    # Two orthogonal ways with spreads of 3 and 1, of either sign from level to level.
    generator = torch.Generator().manual_seed(3)
    ways = torch.linalg.qr(torch.randn(24, 2, generator=generator, dtype=torch.float64))[0].T
    scores = torch.linalg.qr(torch.randn(40, 3, generator=generator, dtype=torch.float64))[0]
    scores = scores - scores.mean(0)
    scores = torch.linalg.qr(scores)[0][:, :2] * 39**0.5 * torch.tensor([3.0, 1.0])
    levels = [scores @ (ways * sign) for sign in (1, -1, 1)]
    states = torch.stack(levels, 1).reshape(40, 3, 6, 2, 2) + 5
    for number, (spread, part) in enumerate(((3, 0.9), (1, 0.1))):
        found, share = principal_component(states, number + 1)
        own = ways[number] * ways[number][ways[number].abs().argmax()].sign() * spread
        for level in found:
            torch.testing.assert_close(level.flatten().double(), own, rtol=1e-4, atol=1e-4)
        assert share == pytest.approx(part, abs=1e-3)


def test_more_components_than_images_are_refused():
    with pytest.raises(ValueError, match="3 images have 2 principal components, got component 3"):
        principal_component(torch.zeros(3, 1, 6, 1, 1), 3)


def test_a_file_gives_the_same_direction(tmp_path):
    found = direction()
    hspace.save(found, tmp_path / "some" / "red.safetensors")
    again = hspace.load(tmp_path / "some" / "red.safetensors")
    assert (again.site, again.sigmas) == (found.site, found.sigmas)
    assert torch.equal(again.shifts, found.shifts)
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["red.safetensors"]


def test_another_file_is_no_direction(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other\.safetensors is no direction"):
        hspace.load(tmp_path / "other.safetensors")


def test_shifts_of_another_number_of_channels_are_refused():
    with pytest.raises(ValueError, match="3 x 6 x h x w, got 3 x 4 x 2 x 2"):
        direction((3, 4, 2, 2))


def test_an_untrained_network_shifts_nothing_and_a_file_gives_it_back(tmp_path):
    network, h = ShiftNetwork(6), torch.randn(2, 6, 3, 3)
    assert torch.equal(network(h, 2.0), torch.zeros_like(h))
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(4))
    found = TrainedDirection(SITE, network, "key")
    hspace.save(found, tmp_path / "net.safetensors")
    again = hspace.load(tmp_path / "net.safetensors")
    assert (again.site, again.made_by) == (SITE, "key")
    assert torch.equal(again(h, 2.0), found(h, 2.0))
    # Levels differ, samples do not see each other, and h counts in units of its own size.
    assert not torch.equal(again(h, 2.0), again(h, 3.0))
    torch.testing.assert_close(again(h[1:], 2.0), again(h, 2.0)[1:])
    assert torch.equal(again(4 * h, 2.0), 4 * again(h, 2.0))  # by a power of 2: nothing is rounded


def test_a_shift_of_nothing_is_nothing():
    network = ShiftNetwork(6)
    torch.nn.init.ones_(network.second.bias)
    assert torch.equal(network(torch.zeros(1, 6, 2, 2), 1.0), torch.zeros(1, 6, 2, 2))


def test_a_shift_sees_the_neighbours_of_its_place_and_moves_with_what_is_there():
    torch.manual_seed(5)
    network = ShiftNetwork(6)
    torch.nn.init.normal_(network.second.weight)
    h = torch.zeros(1, 6, 9, 9)
    h[..., 3:6, 3:6] = torch.randn(1, 6, 3, 3)
    with torch.no_grad():
        here, moved = network(h, 2.0)[0], network(h.roll(1, 3), 2.0)[0]
    inside = slice(1, -1)
    torch.testing.assert_close(moved[:, inside, 2:-1], here[:, inside, 1:-2])
    empty, beside, farther = here[:, 1, 1], here[:, 4, 6], here[:, 4, 7]
    torch.testing.assert_close(farther, empty)
    assert not torch.allclose(beside, empty, atol=1e-2)


def test_equal_directions_give_equal_files(tmp_path):
    site = Site("UNet", "middle.0", 2, 3)
    direction = Direction(site, (2.0, 1.0), torch.ones(2, 2, 1, 1))
    for name in "abcdefgh":
        hspace.save(direction, tmp_path / f"{name}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
