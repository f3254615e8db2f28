"""The embedded flow transformer as the host's own FLUX: joint attention of text and image."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import comfy.model_base
import comfy.model_detection
import comfy.supported_models
from comfy.ldm.flux.model import FluxParams

from .shapes_files import config_of, weights_of
from .shapes_model import model_of

PART = "transformer"
# Tokens that it was trained with a text of, in place of CLIP's 77.
TEXT = 20


class JointConfig(comfy.supported_models.FluxSchnell):
    """FLUX's recipe around a small transformer, with noise levels for small latents."""

    unet_config: dict[str, Any] = {}
    sampling_settings: dict[str, Any] = {"shift": 0.0}


def joint_config(config: dict[str, Any], patch: int = 2) -> dict[str, Any]:
    """Translate a FluxTransformer2DModel's config to the host's Flux, as this host has it."""
    heads, channels = config["num_attention_heads"], config["in_channels"] // patch**2
    params = {
        "in_channels": channels,
        "out_channels": channels,
        "vec_in_dim": config["pooled_projection_dim"],
        "context_in_dim": config["joint_attention_dim"],
        "hidden_size": heads * config["attention_head_dim"],
        "mlp_ratio": 4.0,
        "num_heads": heads,
        "depth": config["num_layers"],
        "depth_single_blocks": config["num_single_layers"],
        "axes_dim": list(config["axes_dims_rope"]),
        "theta": 10000,
        "patch_size": patch,
        "qkv_bias": True,
        "guidance_embed": False,
        "txt_ids_dims": [],
    }
    known = {field.name for field in fields(FluxParams)}
    return {"image_model": "flux", **{k: v for k, v in params.items() if k in known}}


def load_transformer(folder: Path) -> Any:
    """Return the transformer as a MODEL.

    Raises:
        ValueError: a file is missing.
    """
    named = comfy.model_detection.convert_diffusers_mmdit(weights_of(folder, PART))
    recipe = JointConfig(joint_config(config_of(folder, PART)))
    return model_of(folder, recipe, named, comfy.model_base.Flux)
