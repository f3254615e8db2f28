"""Classifiers that see the noisy latent and its noise level: timm networks from local files.

References:
    Diffusion Models Beat GANs on Image Synthesis, Dhariwal and Nichol 2021, arXiv:2105.05233,
    section 4: a classifier trained on noisy samples. Deviates: of latents, and the noise level is a
    channel of the input, so that any timm network can be one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import weights


class NoisyClassifierNetwork(nn.Module):
    """A frozen classifier of noisy latents.

    Arguments:
        network: (B, C + 1, h, w) -> logits (B, K).
        name: what messages call it.
        labels: the K names.
        multi_label: whether several labels hold at once (one sigmoid each, no softmax).
        channels: C of the latents that it was trained on.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        labels: tuple[str, ...],
        multi_label: bool,
        channels: int,
    ) -> None:
        super().__init__()
        self.network, self.name, self.noisy_labels = network, name, tuple(labels)
        self.multi_label, self.channels = multi_label, channels

    def forward(self, latent: Tensor, angle: Tensor) -> Tensor:
        """Logits (B, K) of noisy latents.

        Arguments:
            latent: cos(angle) x0 + sin(angle) n, shape (B, C, h, w), in the model's latent units.
            angle: angle of the noise, shape (B,), from 0 (clean) to pi / 2 (noise alone).
        """
        return self.network(network_input(latent, angle))


def network_input(latent: Tensor, angle: Tensor) -> Tensor:
    """What the network is shown, (B, C + 1, h, w): the latent, and a channel from -1 to 1."""
    level = (angle * (4 / math.pi) - 1).to(latent).view(-1, 1, 1, 1)
    return torch.cat([latent, level.expand_as(latent[:, :1])], 1)


def load(path: str | Path, architecture: str = "auto") -> NoisyClassifierNetwork:
    """Load a classifier of noisy latents.

    Its file has the state of a timm network with C + 1 input channels, and in its metadata the
    entry `energy_guidance`, JSON with labels, and if need be architecture, options of
    `timm.create_model`, and multi_label.

    Arguments:
        path: of the weights.
        architecture: a timm name, or "auto" to read it off the file.

    Raises:
        FileNotFoundError, ValueError: see `weights`; no labels; unknown architecture.
    """
    state, metadata = weights.read(path)
    name = Path(path).name
    card, make = _described(metadata, name, architecture)
    planes = _planes(state, make)
    if planes < 2:
        raise ValueError(f"{name} has no convolution of a latent and its noise level at its start")
    return NoisyClassifierNetwork(
        weights.fill(make(planes), state, name),
        name=name,
        labels=tuple(card["labels"]),
        multi_label=card.get("multi_label", False),
        channels=planes - 1,
    ).eval()


def labels_in(path: str | Path, architecture: str = "auto") -> tuple[str, ...]:
    """The labels that the classifier of a file has, from its header.

    Raises:
        FileNotFoundError, ValueError: as `load`.
    """
    _, metadata = weights.outline(path)
    return tuple(_described(metadata, Path(path).name, architecture)[0]["labels"])


def _planes(state: dict[str, Tensor], make: Callable[[int], nn.Module]) -> int:
    """Input channels of a network by its state: those of its first layer.

    The least that there can be, 2, where the state has no such layer, and fits no network.
    """
    with torch.device("meta"):
        weight = state.get(f"{_first_layer(make(2))}.weight")
    return 2 if weight is None else weight.shape[1]


def _first_layer(network: Any) -> str:
    """What timm calls the first layer, or the first convolution where options made another stem."""
    convolutions = [n for n, part in network.named_modules() if isinstance(part, nn.Conv2d)]
    named: str = network.default_cfg["first_conv"]
    return named if named in convolutions else next(iter(convolutions), "")


def _described(
    metadata: dict[str, str], name: str, architecture: str
) -> tuple[dict[str, Any], Callable[[int], nn.Module]]:
    """The file's description, and what makes the untrained network for some input channels."""
    import timm

    card = weights.read_card(metadata, name) or {}
    if not card.get("labels"):
        raise ValueError(
            f"{name} does not name its labels: expected a classifier of noisy latents with an "
            "energy_guidance entry in its metadata, see docs/guide-networks.md"
        )
    named = card.get("architecture", "") if architecture == "auto" else architecture
    if not timm.is_model(named):
        raise ValueError(f"timm knows no architecture '{named}': see timm.list_models()")
    options = {**card.get("options", {}), "num_classes": len(card["labels"])}
    return card, lambda planes: timm.create_model(named, in_chans=planes, **options)
