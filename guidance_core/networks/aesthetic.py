"""Aesthetic predictors: linear layers on CLIP embeddings, from local files."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor, nn

from ..process import lengths
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
    matrices = [v for k, v in sorted(numbered.items(), key=_place) if v.ndim == 2]
    pairs = zip(matrices, matrices[1:], strict=False)
    fits = all(after.shape[1] == before.shape[0] for before, after in pairs)
    if not matrices or not fits or matrices[-1].shape[0] != 1:
        raise ValueError(
            f"{name} is no aesthetic predictor: expected linear layers that end in one number, got "
            f"{', '.join(map(lengths, matrices)) or 'no matrices'}"
        )
    places = [_place((key, None)) for key, v in numbered.items() if v.ndim == 2]
    layers = nn.Sequential(*[nn.Identity() for _ in range(max(places) + 1)])
    for place, matrix in zip(sorted(places), matrices, strict=True):
        layers[place] = nn.Linear(*reversed(matrix.shape))
    network = AestheticNetwork(layers, name=name)
    weights.fill(network, numbered, name)
    return network


def _place(item: tuple[str, Tensor | None]) -> int:
    """The number of a layer in its key."""
    found = re.search(r"\.(\d+)\.", item[0])
    return int(found.group(1)) if found else -1
