"""Directions in h-space, the output of a U-Net's middle block: what they are, and their files.

References:
    Diffusion Models already have a Semantic Latent Space (Asyrp), Kwon et al. 2023,
    arXiv:2210.10960, section 3.
    Discovering Interpretable Directions in the Semantic Latent Space of Diffusion Models, Haas et
    al. 2023, arXiv:2303.11073 (principal components).
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from ..process import lengths
from . import weights

TOLD, SIGMAS, SHIFTS = "energy_guidance_h_space", "sigmas", "shifts"


@dataclass(frozen=True)
class Site:
    """Where h is read and shifted, by which a model is told from another.

    Arguments:
        network: class of the network.
        layer: name of the block.
        channels: of h.
        blocks: blocks of the encoder before it.
    """

    network: str
    layer: str
    channels: int
    blocks: int

    def __str__(self) -> str:
        """In words, for messages."""
        return (
            f"{self.network}, {self.layer} of {self.channels} channels behind {self.blocks} blocks"
        )


@dataclass(frozen=True, eq=False)
class Direction:
    """A shift of h at each noise level.

    Arguments:
        site: where it was found.
        sigmas: noise levels, falling.
        shifts: shape (N, C, h, w), one for each level; h and w are 1 where it is the same at all
            places.

    Raises:
        ValueError: the parts do not fit each other.
    """

    site: Site
    sigmas: tuple[float, ...]
    shifts: Tensor

    def __post_init__(self) -> None:
        wanted = (len(self.sigmas), self.site.channels)
        if self.shifts.ndim != 4 or self.shifts.shape[:2] != wanted or not self.sigmas:
            raise ValueError(
                f"a direction of {len(self.sigmas)} noise levels in {self.site} has shifts of "
                f"{wanted[0]} x {wanted[1]} x h x w, got {lengths(self.shifts)}"
            )

    def __call__(self, h: Tensor, sigma: float) -> Tensor:
        """The shift of h (B, C, h, w) at a noise level, shape (1, C, h, w).

        Between two levels it is linear in log sigma, beyond them that of the nearest. A map of
        another size is scaled to that of h.
        """
        shift = self._at(sigma).to(h)
        if shift.shape[2:] in (h.shape[2:], (1, 1)):
            return shift
        return F.interpolate(shift, h.shape[2:], mode="bilinear", antialias=True)

    def _at(self, sigma: float) -> Tensor:
        levels = self.sigmas
        if sigma >= levels[0] or sigma <= levels[-1]:
            return self.shifts[:1] if sigma >= levels[0] else self.shifts[-1:]
        low = next(i for i, level in enumerate(levels) if level <= sigma)
        part = math.log(levels[low - 1] / sigma) / math.log(levels[low - 1] / levels[low])
        return torch.lerp(self.shifts[low - 1], self.shifts[low], part)[None]


def mean_difference(source: Tensor, target: Tensor, *, each_place: bool) -> Tensor:
    """The mean of target - source over runs, shape (N, C, h, w), or (N, C, 1, 1) over places too.

    Arguments:
        source: h of the runs of one prompt, shape (R, N, C, h, w).
        target: that of the other.
        each_place: whether each place keeps a shift of its own.
    """
    mean = (target.double().mean(0) - source.double().mean(0)).float()
    return mean if each_place else mean.mean((2, 3), keepdim=True)


def principal_component(states: Tensor, number: int) -> tuple[Tensor, float]:
    """A principal component of h over runs, at each noise level, and its part of the variance.

    It has the length of a standard deviation along it, and the sign by which it agrees with that of
    the level before; at the first its largest entry is positive.

    Arguments:
        states: h of the runs, shape (R, N, C, h, w).
        number: 1 is the component of the largest variance.

    Returns: shape (N, C, h, w), and the mean over the levels of its part of the variance.

    Raises:
        ValueError: there are not more runs than components.
    """
    runs = len(states)
    if not 1 <= number < runs:
        raise ValueError(
            f"{runs} images have {runs - 1} principal components, got component {number}: raise "
            "the number of runs or the batch size, or lower the component"
        )
    found, parts = list[Tensor](), list[float]()
    for level in states.double().flatten(2).unbind(1):
        _, sizes, ways = torch.linalg.svd(level - level.mean(0), full_matrices=False)
        way = ways[number - 1]
        turned = way.dot(found[-1]) < 0 if found else way[way.abs().argmax()] < 0
        found.append(-way if turned else way)
        parts.append(float(sizes[number - 1].square() / sizes.square().sum().clamp_min(1e-30)))
        found[-1] = found[-1] * sizes[number - 1] / (runs - 1) ** 0.5
    shape = states.shape[1:]
    return torch.stack(found).reshape(shape).float(), sum(parts) / len(parts)


def save(direction: Direction, path: str | Path) -> None:
    """Write a direction, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"format": "pt", TOLD: json.dumps(asdict(direction.site))}
    levels = torch.tensor(direction.sigmas)
    temporary = path.with_suffix(".part")
    save_file({SIGMAS: levels, SHIFTS: direction.shifts.contiguous()}, temporary, metadata=told)
    temporary.replace(path)


def load(path: str | Path) -> Direction:
    """Read a direction.

    Raises:
        FileNotFoundError, ValueError: see `weights`; a file of something else.
    """
    state, told = weights.read(path)
    try:
        site = Site(**json.loads(told[TOLD]))
        return Direction(site, tuple(state[SIGMAS].tolist()), state[SHIFTS])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{Path(path).name} is no direction: make one with Find h-space Direction"
        ) from error
