"""Aesthetic predictors: linear layers on CLIP embeddings, from local files."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor, nn

from . import weights


class AestheticNetwork(nn.Module):
    """A frozen predictor of how much people like an image, from its CLIP embedding.

    Arguments:
        layers: linear layers, one after the other, ending in one number.
        name: what messages call it.
    """

    def __init__(self, layers: nn.Sequential, *, name: str) -> None:
        super().__init__()
        self.layers, self.name = layers, name
        self.width = next(m for m in layers if isinstance(m, nn.Linear)).in_features

    def forward(self, embedding: Tensor) -> Tensor:
        """Scores (B,), about 1 to 10, of unit embeddings (B, D)."""
        return self.layers(embedding)[:, 0]


def load(path: str | Path) -> AestheticNetwork:
    """Load a predictor: one linear layer, or LAION's improved one (linear layers in a row).

    The layers are read off the keys: `weight` and `bias`, or `layers.0.weight` and so on.

    Raises:
        FileNotFoundError, ValueError: see `weights`; layers that do not fit together.
    """
    name = Path(path).name
    state, _ = weights.read(path)
    numbered = {re.sub(r"^(weight|bias)$", r"layers.0.\1", key): v for key, v in state.items()}
    shapes = [tuple(v.shape) for k, v in sorted(numbered.items(), key=_place) if v.ndim == 2]
    fits = [after[1] == before[0] for before, after in zip(shapes, shapes[1:], strict=False)]
    if not shapes or not all(fits) or shapes[-1][0] != 1:
        raise ValueError(
            f"{name} is no aesthetic predictor: expected linear layers that end in one number, got "
            f"matrices {shapes or 'none'}"
        )
    places = [_place((key, None)) for key, v in numbered.items() if v.ndim == 2]
    layers = nn.Sequential(*[nn.Identity() for _ in range(max(places) + 1)])
    for place, (out, width) in zip(sorted(places), shapes, strict=True):
        layers[place] = nn.Linear(width, out)
    network = AestheticNetwork(layers, name=name)
    weights.fill(network, numbered, name)
    return network


def _place(item: tuple[str, Tensor | None]) -> int:
    """The number of a layer in its key."""
    found = re.search(r"\.(\d+)\.", item[0])
    return int(found.group(1)) if found else -1
