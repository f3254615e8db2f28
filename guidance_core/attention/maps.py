"""Maths of attention maps, shared by hosts and by the energies that read them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..captures import Attention, Layers
from ..process import full_precision
from ..types import Estimate
from .words import Word, attention_around, attention_to

# A map whose values differ by less than this part of the largest counts as flat: it keeps gradients
# finite (Self-Guidance's code has the same number, absolute: attention of transformers is smaller).
FLAT = 1e-4
TEMPERATURE = 0.1  # of concept maps
BLUR = 0.5**0.5  # standard deviation of Attend-and-Excite's Gaussian, in cells


def concept_maps(
    image: Tensor, text: Tensor, positions: tuple[int, ...], heads: str = "mean"
) -> Tensor:
    """How alike image tokens are to some text tokens after attention, as shares of the text.

    A softmax over the text of the cosines between outputs of attention, divided by 0.1.

    Arguments:
        image: outputs of attention for the image's tokens, shape (B, heads, N, D).
        text: those for the text's tokens, shape (B, heads, T, D).
        positions: K of the T tokens.
        heads: "mean" compares outputs of all heads as one vector, "each" those of each head.

    Returns:
        Shape (B, K, N), or (B, K, heads, N) of each head, float32 or wider.

    References:
        ConceptAttention, Helbling et al. 2025, arXiv:2502.04320, section 4 and its code.
        Deviates: the concepts are the prompt's own tokens, not words of a stream of their own;
        vectors are normalised, an option of the code, and divided by a temperature: bare products
        of thousands of channels make a softmax of 0 and 1, without a gradient.
    """
    if heads == "mean":
        image, text = (part.transpose(1, 2).flatten(2)[:, None] for part in (image, text))
    unit = lambda part: F.normalize(full_precision(part), dim=-1)
    looks = (unit(image) @ unit(text).transpose(2, 3) / TEMPERATURE).softmax(3)
    looks = looks[..., list(positions)].movedim(3, 1)
    return looks if heads == "each" else looks[:, :, 0]


def word_maps(layers: Sequence[Tensor], request: Attention, words: Sequence[Word]) -> list[Tensor]:
    """Maps of words, the mean over the tokens of each: (B, K, h, w) to (B, W, h, w) per layer.

    A frame axis before the last two stays.
    """
    places = {position: i for i, position in enumerate(request.positions)}
    index = [[places.get(p, p) for p in word.positions] for word in words]
    return [
        torch.stack([full_precision(layer)[:, rows].mean(1) for rows in index], 1)
        for layer in layers
    ]


def maps_in(estimate: Estimate, words: tuple[Word, ...], layers: Layers) -> list[Tensor]:
    """Maps of words in an estimate, (B, W, h, w) per layer."""
    request = attention_to(words, layers)
    return word_maps(estimate.capture(request), request, words)


def text_shares(estimate: Estimate, words: tuple[Word, ...], layers: Layers) -> Tensor:
    """Attention to every place of the context as a share of the text, mean of layers: (B, K, h, w).

    The words tell whether the context begins with a start token. See `across_text`.
    """
    maps = layer_mean(estimate.capture(attention_around(words, layers)))
    return across_text(maps, start_token=all(word.start_token for word in words))


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps (..., h, w) at another size, bilinear."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    pictures = F.interpolate(_pictures(maps), tuple(size), mode="bilinear", align_corners=False)
    return pictures.reshape(*maps.shape[:-2], *size)


def _pictures(maps: Tensor) -> Tensor:
    """Maps (..., h, w) as one batch of pictures of one channel."""
    return maps.reshape(-1, 1, *maps.shape[-2:])


def layer_mean(layers: Sequence[Tensor]) -> Tensor:
    """Mean over layers at the size of the finest, (B, W, h, w), with frames (B, W, T, h, w)."""
    finest = max((layer.shape[-2:] for layer in layers), key=lambda size: size[0] * size[1])
    return torch.stack([resized(layer, finest) for layer in layers]).mean(0)


def min_max(maps: Tensor) -> Tensor:
    """Each map (..., h, w) stretched to [0, 1]; a flat one becomes 0."""
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    floor = (FLAT * high.detach()).clamp_min(torch.finfo(maps.dtype).tiny)
    return (maps - low) / torch.maximum(high - low, floor)


def soft_masks(maps: Tensor, sharpness: float = 10.0) -> Tensor:
    """Soft masks of maps (..., h, w), in [0, 1].

    References:
        Diffusion Self-Guidance, Epstein et al. 2023, arXiv:2306.00986, section 3.2.
        Deviates from the published code: extremes are taken over each map, not across words.
    """
    return min_max((sharpness * (min_max(maps) - 0.5)).sigmoid())


def centroid(maps: Tensor) -> Tensor:
    """Centre of mass of masks (..., h, w) as (..., 2): x and y in [0, 1]; an empty one's is 0.5."""
    mass = maps + FLAT
    mass = mass / mass.sum((-2, -1), keepdim=True)
    x = (mass.sum(-2) * _centres(maps.shape[-1], maps)).sum(-1)
    y = (mass.sum(-1) * _centres(maps.shape[-2], maps)).sum(-1)
    return torch.stack([x, y], -1)


def _centres(count: int, like: Tensor) -> Tensor:
    return (torch.arange(count, device=like.device, dtype=like.dtype) + 0.5) / count


def across_text(maps: Tensor, *, start_token: bool = True) -> Tensor:
    """Attention to every place of a context (B, K, h, w), sharpened and made a share of the text.

    A softmax of 100 times the attention over the places of the text, each map then blurred a
    little. The start token, if there is one, and the last place (an end token or padding), which
    draw most of the attention, are left out and become 0.

    References:
        Attend-and-Excite, Chefer et al. 2023, arXiv:2301.13826, section 3 and its code, whose
        kernel of "sigma 0.5", exp(-(d / 2 sigma)^2), is a Gaussian of sigma 0.5 sqrt(2).
    """
    from kornia.filters import gaussian_blur2d  # heavy: only where shares of the text are asked

    first = int(start_token)
    shares = (100 * full_precision(maps[:, first:-1])).softmax(1)
    blurred = gaussian_blur2d(_pictures(shares), (3, 3), (BLUR, BLUR), separable=False)
    return F.pad(blurred.reshape(shares.shape), (0, 0) * (maps.ndim - 2) + (first, 1))
