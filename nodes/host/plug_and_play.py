"""Plug-and-Play: features and self-attention of a source image, in the run of another prompt.

References:
    Plug-and-Play Diffusion Features for Text-Driven Image-to-Image Translation, Tumanyan et al.
    2022, arXiv:2211.12572, section 4 and its code: features of one layer of the decoder until 0.8
    of the run, queries and keys of self-attention from there on until 0.5, in all branches.
    Deviates: the source is evaluated at the states of its path, not at those of another inversion
    of 1000 steps.
    Not published for transformers: there the features are the image's stream behind a block, the
    one where things are told apart best, and queries and keys of the image's tokens alone are
    exchanged in the blocks behind it (`injecting/transformer.py` has its sources).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ...guidance_core.captures import chosen_layers
from ...guidance_core.procedures.inversion import Path
from .autograd.kernels import as_written
from .injecting.exchange import check_exchange, exchange_of
from .injecting.injected import injected
from .injecting.injection import Injection
from .injecting.unet import from_features
from .prompt_to_prompt import until
from .reading.layouts import layout_of
from .reading.layouts.unet import blocks

NAME = "Plug-and-Play"


def plugged(
    model: Any,
    source: Any,
    path: Path | None,
    features_end: float,
    attention_end: float,
    layers: Any,
) -> Any:
    """Return a MODEL that is given features and self-attention of a source.

    Arguments:
        model: MODEL of a U-Net, or of a transformer that looks at text.
        source: CONDITIONING of the source's prompt.
        path: of the source.
        features_end: until where its features are given, in [0, 1]; 0 is never.
        attention_end: until where its self-attention is.
        layers: layers of the features, or "default".

    Raises:
        ValueError: another kind of model, no path, or no such layer.
    """
    network = model.get_model_object("diffusion_model")
    check_exchange(network, NAME)
    if path is None:
        raise ValueError("Plug-and-Play needs the path of its source: connect that of Invert")
    first, attending, there = layers_of(network)
    names = chosen_layers(layers, (first,), there)
    exchange_of(network, names)
    return injected(
        model,
        Injection(
            NAME,
            source,
            path,
            own=(attending, until(attention_end)),
            features=(names, until(features_end)),
        ),
    )


def layers_of(network: nn.Module) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The layer of the features, those of attention behind it, and all that features may be of."""
    layout = layout_of(network)
    if layout.laid is None:
        there = tuple(name for name, _ in blocks(as_written(network)))
        return *from_features(network), there
    (first,), names = layout.default_features, tuple(layout.features)
    behind = names[names.index(first) + 1 :]
    return first, tuple(name for name in behind if name in layout.itself), names
