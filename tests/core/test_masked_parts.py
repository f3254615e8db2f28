"""A masked energy whose decoder is given the part of the latent that the mask needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from guidance_core.energies.color import MeanColor
from guidance_core.energies.masked import MARGIN, Masked
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.gradients import at_estimate
from guidance_core.types import Estimate
from tests.core.toys import seeded

SIDE, SCALE = 40, 4


@dataclass
class Decoder:
    """Two convolutions around an enlargement; `reach` cells is how far an image point sees."""

    reach: int = 1
    parts: bool = True
    sizes: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, x0):
        self.sizes.append(tuple(x0.shape[-2:]))
        x0 = x0.squeeze(2) if x0.ndim == 5 else x0
        kernel = seeded(3, 2, 2 * self.reach + 1, 2 * self.reach + 1)
        mixed = F.conv2d(x0, kernel, padding=self.reach)
        return F.interpolate(mixed, scale_factor=SCALE, mode="nearest").sigmoid()


@dataclass(frozen=True)
class Ramp:
    """Of each place of the image it is shown something else, so that no shift goes unseen."""

    reads_image = True

    def __call__(self, estimate):
        image = estimate.image
        places = torch.arange(image[0].numel(), dtype=image.dtype).view(image[0].shape)
        return (image * (places + 1).sin()).flatten(1).sum(1)


def mask_of(left, top, right, bottom, side=SIDE * SCALE):
    mask = torch.zeros(side, side)
    mask[top:bottom, left:right] = 1
    return mask


def estimate(decode, count=2, frames=()):
    x0 = seeded(count, 2, *frames, SIDE, SIDE)
    return Estimate(x0, torch.ones(count, dtype=torch.float64), decode)


MASKS = {
    "inside": mask_of(61, 70, 90, 83),
    "corner": mask_of(0, 0, 18, 30),
    "edge": mask_of(140, 30, 160, 41),
    "tall": mask_of(50, 0, 55, 160),
    "all": mask_of(0, 0, 160, 160),
    "of another size": mask_of(3, 5, 9, 8, side=17),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("frames", [(), (1,)])
def test_what_a_decoder_sees_near_is_as_if_all_were_decoded(name, frames):
    """Value and gradient, for a decoder that looks less far than the margin."""
    energy = Masked(Ramp(), MASKS[name])
    for reach in (0, MARGIN - 1):
        whole, part = (estimate(Decoder(reach, parts), frames=frames) for parts in (False, True))
        expected, slope = at_estimate(energy, whole)
        value, grad = at_estimate(energy, part)
        assert_close(value, expected, rtol=1e-10, atol=1e-10)
        assert slope.abs().sum() > 0
        assert_close(grad, slope, rtol=1e-9, atol=1e-12)


def test_only_the_square_and_its_margin_are_decoded_once():
    decoder = Decoder()
    energy = WeightedSum(((1.0, Masked(Ramp(), MASKS["inside"])),) * 2)
    energy(estimate(decoder))
    # The mask is in columns 15 to 22 and rows 17 to 20: a square of 8 cells.
    assert decoder.sizes == [(8 + 2 * MARGIN, 8 + 2 * MARGIN)]


def test_a_mask_for_each_sample_decodes_its_own_part():
    decoder, pair = Decoder(), torch.stack([MASKS["inside"], MASKS["corner"]])
    values = Masked(Ramp(), pair)(estimate(decoder))
    assert decoder.sizes == [(24, 24), (16, 16)]
    whole = estimate(Decoder(parts=False))
    for i in range(2):
        own = Estimate(whole.x0[i : i + 1], whole.sigma[i : i + 1], whole.decode)
        assert_close(values[i], Masked(Ramp(), pair[i])(own)[0])


def test_masks_of_another_number_are_refused():
    for parts in (False, True):
        with pytest.raises(ValueError, match="mask has 3 images, the latent batch 2"):
            Masked(Ramp(), torch.ones(3, 4, 4))(estimate(Decoder(parts=parts)))


def test_a_video_and_an_energy_that_knows_masks_decode_all():
    decoder = Decoder()
    Masked(Ramp(), MASKS["inside"])(estimate(decoder, frames=(3,)))
    Masked(MeanColor(torch.ones(3)), MASKS["inside"])(estimate(decoder))
    assert decoder.sizes == [(SIDE, SIDE)] * 2
