"""Morphing: images between two others, of states between their inverted paths.

References:
    Denoising Diffusion Implicit Models, Song et al. 2021, arXiv:2010.02502, eq. (58) (slerp).
    DiffMorpher, Zhang et al. 2023, arXiv:2312.07409, section 4 (attention of both images blended,
    statistics by AdaIN, frames evenly apart).
    Deviates: no LoRA is trained on the images; both ends are held by their paths instead. Where an
    image jumps, more are sampled, and frames are chosen among all; the paper moves them along a
    length that it measures once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..process import full_precision, lengths
from .inversion import Path

LEVEL = 1e-3  # relative difference of noise levels that count as the same
STRAIGHT = 1e-6  # sine of an angle below which slerp is lerp
LEAST_STD = 1e-6
POWER = 8


def slerp(one: Tensor, other: Tensor, shares: Tensor) -> Tensor:
    """Latents on the arc from one to the other, shape (N, C, *S).

    Latents in one direction, which span no arc, are mixed linearly.

    Arguments:
        one: shape (C, *S).
        other: shape (C, *S).
        shares: how far each is on the way, shape (N,), in [0, 1]; 0 and 1 are the ends themselves.
    """
    a, b = one.double(), other.double()
    parts = shares.to(a).reshape(-1, *[1] * a.ndim)
    cosine = (a * b).sum() / (a.norm() * b.norm()).clamp_min(torch.finfo(a.dtype).tiny)
    angle = cosine.clamp(-1, 1).arccos()
    if angle.sin() < STRAIGHT:
        return torch.lerp(a, b, parts).to(one)
    from_one, from_other = ((1 - parts) * angle).sin(), (parts * angle).sin()
    return ((from_one * a + from_other * b) / angle.sin()).to(one)


def between(one: Path, other: Path, shares: Tensor) -> Path:
    """A path of N images between those of two paths, at every noise level on the arc.

    Arguments:
        one: path of one image.
        other: path of another one, of its size and noise levels.
        shares: how far each image is on the way, shape (N,).

    Raises:
        ValueError: several images, sizes or noise levels that differ.
    """
    check_pair(one, other)
    pairs = zip(one.states, other.states, strict=True)
    return Path(one.sigmas, torch.stack([slerp(a[0], b[0], shares) for a, b in pairs]))


def check_pair(one: Path, other: Path) -> None:
    """Refuse two paths between which there is nothing."""
    for path in (one, other):
        if path.states.shape[1] != 1:
            raise ValueError(
                f"a morph leads from one image to one other, got a path of {path.states.shape[1]} "
                "images: invert one image at a time"
            )
    if one.states.shape[1:] != other.states.shape[1:]:
        sizes = " and ".join(lengths(path.states[0, 0]) for path in (one, other))
        raise ValueError(
            f"both images of a morph must have one size, got latents of {sizes}: resize or crop "
            "one before VAE Encode"
        )
    levels = one.sigmas, other.sigmas.to(one.sigmas)
    if len(levels[0]) != len(levels[1]) or not torch.allclose(*levels, rtol=LEVEL, atol=LEVEL):
        raise ValueError(
            "both paths of a morph must have the same noise levels: invert both images with the "
            "same steps, scheduler and denoise"
        )


def weights_of(shares: Tensor) -> Tensor:
    """How much of the first and of the second image there is in each of N, shape (N, 2)."""
    return torch.stack([1 - shares, shares], 1)


def with_statistics(latents: Tensor, ends: Tensor, shares: Tensor, strength: float) -> Tensor:
    """Latents whose mean and deviation in each channel are between those of both ends.

    Arguments:
        latents: shape (N, C, *S).
        ends: latents of both images, shape (2, C, *S).
        shares: how far each is on the way, shape (N,).
        strength: how far towards these statistics, in [0, 1]; 0 is unchanged.
    """
    if not strength:
        return latents
    mean, std = _statistics(latents)
    weights = weights_of(shares.to(latents))
    aims = [(weights @ part.flatten(1)).view_as(mean) for part in _statistics(ends.to(latents))]
    adapted = (latents - mean) / std * aims[1] + aims[0]
    return torch.lerp(latents, adapted, strength)


def _statistics(latents: Tensor) -> tuple[Tensor, Tensor]:
    axes = tuple(range(2, latents.ndim))
    std, mean = torch.std_mean(latents, axes, correction=0, keepdim=True)
    return mean, std.clamp_min(LEAST_STD)


def refined(shares: Tensor, features: Tensor, count: int) -> Tensor:
    """Where to sample next: `count` shares, rising, that part the widest steps evenly.

    Each is given to the step whose parts would be the widest; a jump takes them all.

    Arguments:
        shares: where was sampled, shape (M,), rising.
        features: what was seen there, shape (M, F); distances of them are perceptual ones.
        count: how many, >= 1.
    """
    steps = (features[1:] - features[:-1]).norm(dim=1)
    parts = torch.ones_like(steps)
    for _ in range(count):
        parts[(steps / parts).argmax()] += 1
    found = [
        torch.linspace(float(low), float(high), int(number) + 1)[1:-1]
        for low, high, number in zip(shares[:-1], shares[1:], parts, strict=True)
    ]
    return torch.cat(found)


def onward(features: Tensor) -> Tensor:
    """Indices of as many samples as there are of which each is nearer to the end than the last.

    How far a sample is: its distance from the first one, over the sum of that and its distance
    from the last. What leads back on the way is left out; both ends are there.

    Arguments:
        features: samples along a curve, shape (M, F), M >= 2.
    """
    away, left = (_distances(features)[end] for end in (0, -1))
    progress = (away / (away + left).clamp_min(torch.finfo(away.dtype).tiny)).tolist()
    count, before = [1] + [0] * (len(progress) - 1), [-1] * len(progress)
    for index, place in enumerate(progress):
        for earlier in range(index):
            longer = count[earlier] + 1 if count[earlier] and progress[earlier] < place else 0
            if longer > count[index]:
                count[index], before[index] = longer, earlier
    chain = [len(progress) - 1]
    while before[chain[-1]] >= 0:
        chain.append(before[chain[-1]])
    return torch.tensor(chain[::-1] if chain[-1] == 0 else [0, len(progress) - 1])


def evenly(features: Tensor, count: int) -> Tensor:
    """Indices of `count` of M samples in order, both ends too, whose steps are evenly wide.

    The sum of a high power of the steps is the least there is, which the largest decides.

    Arguments:
        features: samples along a curve, shape (M, F), M >= count.
        count: how many, >= 2.
    """
    if not 2 <= count <= len(features):
        raise ValueError(f"expected 2 to {len(features)} of these samples, got {count}")
    powers = _distances(features) ** POWER
    forwards = torch.ones_like(powers).triu(1).bool()
    powers = powers.where(forwards, torch.inf)
    cost, origins = powers[0], []
    for _ in range(count - 2):
        cost, origin = (cost[:, None] + powers).min(0)
        origins.append(origin)
    chosen = [len(features) - 1]
    for origin in reversed(origins):
        chosen.append(int(origin[chosen[-1]]))
    return torch.tensor([0, *chosen[::-1]])


def _distances(features: Tensor) -> Tensor:
    wide = full_precision(features)
    return torch.cdist(wide, wide, compute_mode="donot_use_mm_for_euclid_dist").double()


def sampled_evenly(
    see: Callable[[Tensor], Tensor], count: int, budget: int
) -> tuple[Tensor, Tensor]:
    """Sample a curve, finer where it is steep, and choose samples onward that are evenly apart.

    Returns their shares of the way, shape (count,), rising from 0 to 1, and features (count, F).

    Arguments:
        see: samples at shares (N,), and returns features (N, F), whose distances are perceptual.
        count: how many samples, >= 2.
        budget: how many to choose among; with count or less, shares are evenly apart.
    """
    shares = torch.linspace(0, 1, count)
    features = see(shares)
    while len(shares) < budget:
        more = refined(shares, features, min(budget - len(shares), max(count // 2, 1)))
        shares, features = torch.cat([shares, more]), torch.cat([features, see(more)])
        order = shares.argsort()
        shares, features = shares[order], features[order]
    chain = onward(features)
    if len(chain) >= count:
        shares, features = shares[chain], features[chain]
    chosen = evenly(features, count)
    return shares[chosen], features[chosen]
