"""Directions in h-space that are found without training, from h over runs.

References:
    Diffusion Models already have a Semantic Latent Space (Asyrp), Kwon et al. 2023,
    arXiv:2210.10960.
    Discovering Interpretable Directions in the Semantic Latent Space of Diffusion Models, Haas et
    al. 2023, arXiv:2303.11073 (principal components).
"""

from __future__ import annotations

import torch
from torch import Tensor


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
