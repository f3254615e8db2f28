"""Images between two others in which what stands out moves, and the rest fades.

A pixel stands out by how far its colour is from the image's median. What stands out of one image is
carried onto what stands out of the other by optimal transport of places and colours, and at a share
of the way it is at that share of its way, of that share of its colour and size. What does not stand
out stays where it is and fades.

References:
    A Convexity Principle for Interacting Gases, McCann 1997 (displacement interpolation).
    SDEdit, Meng et al. 2021, arXiv:2108.01073: such an image, with noise, is where sampling begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from .transport import transport

CELLS = 32  # along the longest side, in which transport is found
LIGHTNESS = 100.0  # of white in L*a*b*
# Distance from the median colour, in units of white, at which a pixel stands out by 63 %.
OUT = 0.15
LEAST = 0.05  # by which a pixel has to stand out to be carried
# Squared difference of white and black, beside a squared way of the longest side.
COLOUR = 0.1
WIDTH = 0.45  # standard deviation of a cell that is painted, in cells
BEHIND = 1e-3  # share of what stands out in the ground behind it


@dataclass(frozen=True)
class Carried:
    """Points on their way, each with where it begins and ends.

    Arguments:
        places: at the beginning and at the end, in cells, shape (2, P, 2).
        colours: shape (2, P, 3).
        masses: how much of a cell each covers, shape (2, P).
        sides: of each image at each share: 0 for points of the first, 1 of the second, shape (P,).
    """

    places: Tensor
    colours: Tensor
    masses: Tensor
    sides: Tensor

    def painted(self, cells: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Colours (K, 3) and how much of each cell (K, 2) is covered, shape (K,), in [0, 1]."""
        place, colour, mass = (
            torch.lerp(ends[0], ends[1], share) for ends in (self.places, self.colours, self.masses)
        )
        amount = mass * torch.lerp(1 - self.sides, self.sides, share)
        apart = torch.cdist(cells, place).square()
        weights = amount * (-apart / (2 * WIDTH**2)).exp() / (2 * torch.pi * WIDTH**2)
        cover = weights.sum(1)
        mean = weights @ colour / cover[:, None].clamp_min(torch.finfo(cover.dtype).tiny)
        return mean, cover.clamp(max=1)


@dataclass(frozen=True)
class Displacement:
    """What lies between two images.

    Arguments:
        size: of the images, height and width.
        grid: how many cells, down and across.
        colours: of the cells of both images, shape (2, K, 3).
        out: by how much each stands out, shape (2, K).
        carried: what is on its way; None where nothing stands out of one of them.
    """

    size: tuple[int, int]
    grid: tuple[int, int]
    colours: Tensor
    out: Tensor
    carried: Carried | None

    def at(self, shares: Tensor) -> Tensor:
        """Images (N, 3, H, W) at shares (N,) of the way."""
        rows = torch.stack([self._at(share) for share in shares.tolist()])
        small = rows.movedim(2, 1).unflatten(2, self.grid)
        return interpolate(small, self.size, mode="bicubic").clamp(0, 1)

    def _at(self, share: float) -> Tensor:
        parts = self.out.new_tensor([1 - share, share])[:, None]
        weights = parts * (1 - self.out + BEHIND)
        ground = (weights[..., None] * self.colours).sum(0) / weights.sum(0)[:, None]
        if self.carried is None:
            return ground
        colours, cover = self.carried.painted(places_of(self.grid), share)
        return torch.lerp(ground, colours, cover[:, None])


def displacement(one: Tensor, other: Tensor) -> Displacement:
    """Find what leads from one image to another, both of shape (3, H, W) in [0, 1]."""
    height, width = one.shape[-2:]
    scale = min(CELLS / max(height, width), 1.0)
    grid = max(round(height * scale), 1), max(round(width * scale), 1)
    images = adaptive_avg_pool2d(torch.stack([one, other]).float(), grid)
    out, colours = standing_out(images).flatten(1), images.flatten(2).movedim(1, 2)
    if not (out > LEAST).any(1).all():
        return Displacement((height, width), grid, colours, torch.zeros_like(out), None)
    found = _carried(images, out, places_of(grid))
    return Displacement((height, width), grid, colours, out, found)


def standing_out(images: Tensor) -> Tensor:
    """By how much each pixel differs from its image's median colour, (N, H, W) in [0, 1).

    Arguments:
        images: shape (N, 3, H, W) in [0, 1].
    """
    colours = _perceived(images)
    middle = colours.flatten(2).median(2).values[..., None, None]
    return 1 - (-(colours - middle).square().sum(1) / OUT**2).exp()


def places_of(grid: tuple[int, int]) -> Tensor:
    """Where the cells are, row by row, shape (K, 2)."""
    axes = [torch.arange(count).float() for count in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, 1)


def _perceived(images: Tensor) -> Tensor:
    from kornia.color import rgb_to_lab

    colours: Tensor = rgb_to_lab(images) / LIGHTNESS
    return colours


def _carried(images: Tensor, out: Tensor, cells: Tensor) -> Carried:
    """Each point of either image, and the mean of what it becomes or comes of in the other."""
    perceived = _perceived(images).flatten(2).movedim(1, 2)
    kept = [one > LEAST for one in out]
    look, place, colour, mass = (
        [rows[mask] for rows, mask in zip(both, kept, strict=True)]
        for both in (perceived, (cells, cells), images.flatten(2).movedim(1, 2), out)
    )
    cost = COLOUR * torch.cdist(*look).square() + (torch.cdist(*place) / CELLS).square()
    plan = transport(cost, *(one / one.sum() for one in mass))
    there, back = plan / plan.sum(1, keepdim=True), (plan / plan.sum(0)).T
    both = lambda ends: torch.stack(
        [torch.cat([ends[0], back @ ends[0]]), torch.cat([there @ ends[1], ends[1]])]
    )
    growth = mass[1].sum() / mass[0].sum()
    sides = torch.cat([torch.zeros_like(mass[0]), torch.ones_like(mass[1])])
    masses = torch.stack(
        [torch.cat([mass[0], mass[1] / growth]), torch.cat([mass[0] * growth, mass[1]])]
    )
    return Carried(both(place), both(colour), masses, sides)
