"""Plug-and-Play: features and self-attention of a source image, in the run of another prompt.

References:
    Plug-and-Play Diffusion Features for Text-Driven Image-to-Image Translation, Tumanyan et al.
    2022, arXiv:2211.12572, section 4 and its code: features of one layer of the decoder until 0.8
    of the run, queries and keys of self-attention from there on until 0.5, in all branches.
    Deviates: the source is evaluated at the states of its path, not at those of another inversion
    of 1000 steps.
"""

from __future__ import annotations

from typing import Any

from ...guidance_core.captures import chosen_layers
from ...guidance_core.procedures.inversion import Path
from .autograd.kernels import as_written
from .injecting.injected import injected
from .injecting.injection import Injection
from .injecting.unet import check_unet, from_features, residual
from .prompt_to_prompt import until
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
        model: MODEL of a U-Net.
        source: CONDITIONING of the source's prompt.
        path: of the source.
        features_end: until where its features are given, in [0, 1]; 0 is never.
        attention_end: until where its self-attention is.
        layers: layers of the features, or "default".

    Raises:
        ValueError: another kind of model, no path, or no such layer.
    """
    network = model.get_model_object("diffusion_model")
    check_unet(network, NAME)
    if path is None:
        raise ValueError("Plug-and-Play needs the path of its source: connect that of Invert")
    first, attending = from_features(network)
    there = dict(blocks(as_written(network)))
    names = chosen_layers(layers, (first,), tuple(there))
    for name in names:
        residual(there[name])
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
