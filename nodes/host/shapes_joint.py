"""The embedded flow transformer as the host's own FLUX: joint attention of text and image."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import comfy.model_base
import comfy.model_detection
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import comfy.utils
from comfy.ldm.flux.model import FluxParams

from .shapes_files import config_of, weights_of
from .shapes_latent import ShapesLatent

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
    weights = weights_of(folder, PART)
    device = comfy.model_management.get_torch_device()
    dtype = comfy.model_management.unet_dtype(
        model_params=comfy.utils.calculate_parameters(weights)
    )
    recipe = JointConfig(joint_config(config_of(folder, PART)))
    recipe.latent_format = ShapesLatent(config_of(folder, "vae"), folder)
    recipe.set_inference_dtype(dtype, comfy.model_management.unet_manual_cast(dtype, device))
    model = comfy.model_base.Flux(recipe)
    named = comfy.model_detection.convert_diffusers_mmdit(weights)
    model.diffusion_model.load_state_dict(named)
    offload = comfy.model_management.unet_offload_device()
    model.to(offload)
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload)
