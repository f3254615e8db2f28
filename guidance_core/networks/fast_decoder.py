"""A small decoder that stands in for a VAE's while guiding, fitted to what that VAE gives."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from . import weights

MOST = 1_000_000  # weights
SCALES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Card:
    """What a file tells of its decoder.

    Arguments:
        latent_format: name of the latents that it decodes, such as SD15.
        channels: of the latents, C.
        scale: pixels for each latent cell, along each side; a power of two.
        part: size of its images, of the VAE's (1, 1/2, 1/4).
        width: channels beside the latent's own resolution; halved with each doubling of it.
        blocks: residual blocks at the latent's resolution.
        psnr: against the VAE on estimates that it was not fitted to, in dB; 0 if not measured.
        made_by: tells what it was fitted by; empty where nobody asks.

    Raises:
        ValueError: a number outside its range, or more than a million weights.
    """

    latent_format: str
    channels: int
    scale: int = 8
    part: float = 1.0
    width: int = 64
    blocks: int = 2
    psnr: float = 0.0
    made_by: str = ""

    def __post_init__(self) -> None:
        if self.scale not in SCALES or min(self.channels, self.blocks) < 1 or self.width < 8:
            raise ValueError(
                f"a fast decoder has a scale of {', '.join(map(str, SCALES))}, a width of 8 or "
                f"more and a block or more, got {self.scale}, {self.width} and {self.blocks}"
            )


class Block(nn.Module):
    """Two convolutions beside the identity.

    Arguments:
        width: channels in and out.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, width, h, w) of features of that shape."""
        return x + self.second(nn.functional.silu(self.first(nn.functional.silu(x))))


class FastDecoder(nn.Module):
    """Residual blocks at the latent's resolution, then doublings of it at half the width each.

    So each resolution costs about the same, and most of the weights see the most of the image. It
    has no attention and no normalisation: what it gives at a pixel depends on `reach` cells around.

    Arguments:
        card: its size.
    """

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.card = card
        doublings = max(card.scale.bit_length() - 2, 0)  # the last is a rearrangement of channels
        widths = [max(card.width >> level, 8) for level in range(doublings + 1)]
        self.into = nn.Conv2d(card.channels, card.width, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(card.width) for _ in range(card.blocks)))
        self.doubled = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1)
            for before, after in zip(widths, widths[1:], strict=False)
        )
        self.fold = 2 if card.scale > 1 else 1
        self.out = nn.Conv2d(widths[-1], 3 * self.fold**2, 3, padding=1)

    @property
    def weights(self) -> int:
        """How many there are."""
        return sum(weight.numel() for weight in self.parameters())

    @property
    def reach(self) -> int:
        """How many latent cells away a cell still has a part in a pixel."""
        finer = sum(2.0 ** -(level + 1) for level in range(len(self.doubled)))
        return int(1 + 2 * self.card.blocks + finer + 2.0 ** -len(self.doubled)) + 1

    @property
    def kept(self) -> int:
        """Numbers that a graph keeps for each latent cell."""
        finer = sum(4**level * layer.out_channels for level, layer in enumerate(self.doubled, 1))
        last = 4 ** len(self.doubled)
        blocks = self.card.width * (1 + 5 * self.card.blocks)
        return blocks + 3 * finer + 2 * last * self.out.out_channels

    def forward(self, x0: Tensor) -> Tensor:
        """Images (B, 3, scale h, scale w), about [0, 1], of latents (B, C, h, w), model units."""
        x = self.blocks(self.into(x0))
        for convolution in self.doubled:
            x = nn.functional.interpolate(nn.functional.silu(x), scale_factor=2, mode="nearest")
            x = convolution(x)
        x = self.out(nn.functional.silu(x))
        return nn.functional.pixel_shuffle(x, self.fold) / 2 + 0.5


def save(network: FastDecoder, path: str | Path, card: Card | None = None) -> None:
    """Write a decoder in half precision, whole or not at all.

    Arguments:
        network: the decoder.
        path: of the file, .safetensors.
        card: what the file tells of it, where that is not the network's own card.
    """
    state = {name: weight.half() for name, weight in network.state_dict().items()}
    weights.write(state, Path(path), "energy_guidance", asdict(card or network.card))


def card_of(path: str | Path) -> Card | None:
    """The card of a file, None where it is of no fast decoder."""
    found = weights.metadata_of(path).get("energy_guidance")
    try:
        return None if found is None else Card(**json.loads(found))
    except (TypeError, ValueError):
        return None


def load(path: str | Path) -> FastDecoder:
    """Load a decoder, frozen.

    Raises:
        FileNotFoundError, ValueError: see `weights`; a file of something else.
    """
    state, _ = weights.read(path)
    card, name = card_of(path), Path(path).name
    if card is None:
        raise ValueError(f"{name} is no fast decoder: fit one with Fit Fast Decoder")
    return weights.fill(FastDecoder(card), state, name)  # type: ignore[return-value]


def untrained(card: Card, seed: int = 0) -> FastDecoder:
    """A decoder to be fitted, the same for the same seed.

    Raises:
        ValueError: it has more than a million weights.
    """
    check_size(card)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FastDecoder(card)


def check_size(card: Card) -> None:
    """Refuse a decoder of more than a million weights with a ValueError."""
    with torch.device("meta"):
        count = FastDecoder(card).weights
    if count > MOST:
        raise ValueError(
            f"a fast decoder has at most {MOST:,} weights, got {count:,}: lower its width or its "
            "blocks"
        )
