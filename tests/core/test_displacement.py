"""Images in which what stands out moves: truth is the scene that is drawn in between."""

from __future__ import annotations

import pytest
import torch

from guidance_core.procedures.displacement import displacement, standing_out
from guidance_core.shapes import scenes
from guidance_core.shapes.scenes import Item, Scene

SHARES = torch.tensor([0.0, 0.25, 0.5, 1.0])


def drawn(x, y, radius, colour="red", shape="circle"):
    return scenes.render([Scene((Item(shape, colour, "big", x, y, radius),))])[0]


def covered(images):
    """Area in pixels, and centroid, of what stands out."""
    out = standing_out(images)
    area = out.sum((1, 2))
    axis = torch.arange(out.shape[-1]).float() + 0.5
    places = [(out.sum(dim) * axis).sum(1) / area for dim in (1, 2)]
    return area, torch.stack(places, 1)


def test_an_object_is_carried_to_its_new_place_and_no_ghost_stays():
    found = displacement(drawn(30, 40, 18), drawn(90, 70, 18)).at(SHARES)
    area, places = covered(found)
    truth = torch.stack([30 + 60 * SHARES, 40 + 30 * SHARES], 1)
    torch.testing.assert_close(places, truth, rtol=0, atol=1.0)
    torch.testing.assert_close(area, area[:1].expand(4), rtol=0.12, atol=0)
    middle = drawn(60, 55, 18)
    assert float((found[2] - middle).abs().mean()) < 0.01


def test_size_goes_evenly_from_one_area_to_the_other():
    area, _ = covered(displacement(drawn(60, 60, 12), drawn(64, 60, 24)).at(SHARES))
    truth = area[0] + (area[3] - area[0]) * SHARES
    torch.testing.assert_close(area, truth, rtol=0.12, atol=0)


def test_a_colour_turns_into_the_other_in_its_place():
    one, other = drawn(60, 60, 20, "red"), drawn(60, 60, 20, "blue")
    centre = displacement(one, other).at(SHARES)[:, :, 60, 60]
    ends = one[:, 60, 60], other[:, 60, 60]
    truth = torch.lerp(*ends, SHARES[:, None])
    torch.testing.assert_close(centre, truth, rtol=0, atol=0.02)


def test_the_ends_are_the_images_as_coarse_as_their_cells():
    one, other = drawn(40, 50, 20), drawn(90, 80, 12, "green", "square")
    found = displacement(one, other).at(torch.tensor([0.0, 1.0]))
    assert float((found - torch.stack([one, other])).abs().mean()) < 0.01


def test_what_does_not_stand_out_fades():
    found = displacement(torch.zeros(3, 16, 16), torch.ones(3, 16, 16)).at(SHARES)
    truth = SHARES[:, None, None, None].expand(4, 3, 16, 16)
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-5)


def test_where_one_image_is_flat_nothing_is_carried():
    flat = torch.full((3, 32, 32), 0.2)
    spot = flat.clone()
    spot[:, 8:16, 8:16] = 0.9
    found = displacement(flat, spot).at(SHARES)
    truth = torch.lerp(flat, spot, SHARES[:, None, None, None])
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(48, 96), (128, 40)])
def test_images_that_are_no_squares_keep_their_size(size):
    one = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    assert displacement(one, one.flip(-1)).at(SHARES).shape == (4, 3, *size)


def test_an_end_is_painted_by_its_own_points_where_the_other_has_few():
    """The tiny one's would be some blobs in the big one's place."""
    one, other = drawn(60, 60, 36), drawn(90, 80, 7, "green")
    found = displacement(one, other).at(torch.tensor([0.0, 1.0]))
    inside = standing_out(torch.stack([one, drawn(60, 60, 28)])).amin(0) > 0.9
    torch.testing.assert_close(found[0][:, inside], one[:, inside], rtol=0, atol=0.05)
    assert float((found[1] - other).abs().mean()) < 0.01
