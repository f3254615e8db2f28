"""Scenes that had no part in choosing anything, and what the oracle says of images."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from guidance_core.procedures.inversion import psnr
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.scenes import SIDE, Scene

FIRST = 97_000_000
CUT_AT = 88  # columns that are left
LEFT = (0.25, 0.75)  # shares of a cut object that are left
# How far an attribute may fall back: pixels of radius, shares of the side, RGB in [0, 1].
TOLERANCES = {"size": 2.0, "place": 0.03, "colour": oracle.COLOUR_TOLERANCE}
EVEN = 2.0
BOUND = 40.0  # dB


def scene(number: int) -> Scene:
    """A scene of one or two objects."""
    return scenes.random_scene(torch.Generator().manual_seed(FIRST + number))


def pair(number: int) -> tuple[Scene, Scene]:
    """Two scenes of one object."""
    generator = torch.Generator().manual_seed(FIRST + number)
    return scenes.random_scene(generator, 1), scenes.random_scene(generator, 1)


def cut_scenes(seed: int, count: int) -> list[Scene]:
    """Scenes of which an object is cut by the edge, one for each seed."""
    return [_cut_scene(seed + number) for number in range(count)]


def _cut_scene(number: int) -> Scene:
    generator = torch.Generator().manual_seed(FIRST + number)
    while True:
        found = scenes.random_scene(generator)
        inside = [scenes.inside(item) for item in found.items]
        shares = [float(area[:, :CUT_AT].sum() / area.sum()) for area in inside]
        if any(LEFT[0] <= share <= LEFT[1] for share in shares):
            return found


def uncrop(image: Tensor, truth: Tensor, missing: Tensor, caption: str) -> dict[str, float]:
    """Whether an image (3, H, W), what was there put back, is whole, and how well it was kept."""
    whole = torch.lerp(truth, image, missing)
    (verdict,) = oracle.judge(whole[None])
    there = missing == 0
    kept = psnr(image[None, :, there], truth[None, :, there])
    return {"whole": float(verdict.matches(caption)), "seen": float(kept)}


def cascade(large: Tensor, image: Tensor, truth: Tensor) -> dict[str, float]:
    """How well an image (1, 3, 4H, 4W) keeps the one (1, 3, H, W) that it was made of."""
    kept = float(psnr(avg_pool2d(large, 4), image))
    return {"kept": kept, "bound": float(kept >= BOUND), "truth": float(psnr(large, truth))}


def morph(images: Tensor, features: Tensor) -> dict[str, float]:
    """Whether frames (N, 3, H, W) go one way, and how even their steps are.

    Arguments:
        images: frames.
        features: of each, shape (N, F), whose distances are perceptual ones.
    """
    ways = {name: goes_one_way(values, TOLERANCES[name]) for name, values in read(images).items()}
    steps = (features[1:] - features[:-1]).norm(dim=1)
    ratio = float(steps.max() / steps.mean())
    whole = [len(verdict.items) == 1 and verdict.clean for verdict in oracle.judge(images)]
    return {
        **{name: float(way) for name, way in ways.items()},
        "monotone": float(all(ways.values())),
        "even": float(ratio <= EVEN),
        "ratio": ratio,
        "whole": 100 * sum(whole) / len(whole),
    }


def read(images: Tensor) -> Mapping[str, Tensor]:
    """Size (N, 1), place (N, 2) and colour (N, 3) of what is not ground; NaN where nothing is."""
    there = (oracle.nearest(images) > 0).double()
    count = there.sum((1, 2))[:, None]
    axis = torch.arange(SIDE).double() / SIDE
    places = [(there.sum(dim) * axis).sum(1) for dim in (1, 2)]
    colours = (images.double() * there[:, None]).sum((2, 3))
    radius = torch.where(count > 0, (count / torch.pi).sqrt(), torch.nan)
    return {
        "size": radius,
        "place": torch.stack(places, 1) / count,
        "colour": colours / count,
    }


def goes_one_way(values: Tensor, tolerance: float) -> bool:
    """Whether values (N, D) never fall back on their way from the first to the last.

    Arguments:
        values: of one attribute, frame by frame; NaN where there is none, which is no way.
        tolerance: how far they may fall back along the line, in their own units.
    """
    way = values[-1] - values[0]
    along = (values - values[0]) @ (way / way.norm().clamp_min(1e-9))
    fallen = along.cummax(0).values - along
    return bool(fallen.isfinite().all() and (fallen <= tolerance).all())
