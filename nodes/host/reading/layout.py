"""What can be read in a network, in the terms of energies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ....guidance_core.captures import Attention, Capture, chosen_layers
from .laid import Laid

NO_CONCEPTS = (
    "expected a model whose text attends to the image, got one of cross-attention, where a text "
    "has no output that a map 'concept' could compare: choose map 'attention' in Prompt Words"
)


@dataclass(frozen=True, eq=False)
class Layout:
    """What can be read in a network, and by whom.

    Arguments:
        attention: blocks that hold a layer's attention, by name, in the order they run.
        features: modules whose output is a layer's activation, by name.
        default: layers of attention that "default" stands for.
        default_features: layers of activations that "default" stands for.
        reader: makes the reader of one evaluation from its `Captured`.
        joint: whether the text attends to the image too, and so has concept maps.
        structure: layers of activations that tell where things are best; none: the default ones.
        laid: of transformers, how the tokens of an evaluation are laid out.
        itself: of transformers, modules in which a layer's image attends to itself, by name.
    """

    attention: dict[str, nn.Module]
    features: dict[str, nn.Module]
    default: tuple[str, ...]
    default_features: tuple[str, ...]
    reader: Callable[..., Any]
    joint: bool = False
    structure: tuple[str, ...] = ()
    laid: Callable[[tuple, dict], Laid] | None = None
    itself: dict[str, nn.Module] = field(default_factory=dict)

    def layers(self, request: Capture) -> tuple[str, ...]:
        """Names of the layers that a request means.

        Raises:
            ValueError: there is no such layer, and the message lists those there are; or it has no
                such map.
        """
        if isinstance(request, Attention):
            if request.map == "concept" and not self.joint:
                raise ValueError(NO_CONCEPTS)
            return chosen_layers(request.layers, self.default, tuple(self.attention))
        return chosen_layers(request.layers, self.default_features, tuple(self.features))
