"""Random numbers that depend on a key alone: the same in every batch and on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


def seeded_noise(like: Tensor, *key: int | float, numbers: Sequence[int] | None = None) -> Tensor:
    """Standard normal noise of the shape, dtype and device of `like` (B, ...).

    Row i depends on the key and its number alone, not on the batch's size or earlier calls.

    Arguments:
        like: any tensor.
        key: what the noise is for.
        numbers: number of each row; its place in the batch if None.
    """
    numbers = range(like.shape[0]) if numbers is None else numbers
    return torch.stack([_normal(like.shape[1:], *key, number) for number in numbers]).to(like)


def mixed_seed(*key: int | float) -> int:
    """A seed in [0, 2^63) made of several numbers, the same on every machine."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's global generators for libraries that draw from them, then put them back."""
    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _normal(shape: torch.Size, *key: int | float) -> Tensor:
    generator = torch.Generator().manual_seed(mixed_seed(*key))
    return torch.randn(shape, generator=generator)
