"""Transformers of images with cross-attention to text."""

from __future__ import annotations

import importlib

import comfy.model_base
import torch
from energy_guidance.tests.host.families.family import Family, draw

PIXART = {
    "input_size": 32,
    "hidden_size": 64,
    "depth": 2,
    "num_heads": 2,
    "caption_channels": 32,
    "model_max_length": 7,
    "patch_size": 2,
    "in_channels": 4,
}
SIGMA = {**PIXART, "image_model": "pixart_sigma", "micro_condition": False, "pe_interpolation": 2}
ALPHA = {
    **PIXART,
    "hidden_size": 96,
    "num_heads": 3,
    "image_model": "pixart_alpha",
    "micro_condition": True,
}
HUNYUAN_DIT = {
    "image_model": "hydit",
    "hidden_size": 64,
    "depth": 2,
    "num_heads": 2,
    "text_states_dim": 32,
    "text_states_dim_t5": 32,
    "text_len": 7,
    "text_len_t5": 9,
    "input_size": 8,
}
PREDICT2 = {
    "image_model": "cosmos_predict2",
    "max_img_h": 16,
    "max_img_w": 16,
    "max_frames": 16,
    "in_channels": 16,
    "out_channels": 16,
    "patch_spatial": 2,
    "patch_temporal": 1,
    "model_channels": 64,
    "concat_padding_mask": True,
    "crossattn_emb_channels": 32,
    "pos_emb_cls": "rope3d",
    "pos_emb_learnable": True,
    "pos_emb_interpolation": "crop",
    "min_fps": 1,
    "max_fps": 30,
    "use_adaln_lora": True,
    "adaln_lora_dim": 16,
    "num_blocks": 2,
    "num_heads": 2,
}


def _two_encoders(seed):
    masks = {"attention_mask": torch.ones(1, 7), "attention_mask_mt5xl": torch.ones(1, 9)}
    return {"conditioning_mt5xl": draw(seed, 1, 9, 32), **masks}


def _anima(config):
    """Anima, whose adapter of text knows one size only: that of its default arguments."""
    init = importlib.import_module("comfy.ldm.anima.model").LLMAdapter.__init__
    own = init.__defaults__
    init.__defaults__ = (32, 32, 32, 1, 2, True, False, *own[7:])
    try:
        return comfy.model_base.Anima(config)
    finally:
        init.__defaults__ = own


FAMILIES = {
    "PixArt Alpha": Family(
        *("PixArtAlpha", "PixArt", ALPHA, (4, 34, 34)),
        conds=lambda seed: {"width": 64, "height": 64},
        wide=(4, 34, 44),
    ),
    "PixArt Sigma": Family("PixArtSigma", "PixArt", SIGMA, (4, 34, 34), wide=(4, 34, 44)),
    "HunyuanDiT": Family(
        *("HunyuanDiT", "HunyuanDiT", HUNYUAN_DIT, (4, 8, 8)), conds=_two_encoders, wide=(4, 8, 12)
    ),
    "Cosmos Predict2": Family(
        *("CosmosT2IPredict2", "CosmosPredict2", PREDICT2, (16, 1, 8, 8)), wide=(16, 1, 8, 12)
    ),
    "Cosmos Predict2 image to video": Family(
        *("CosmosI2VPredict2", "CosmosPredict2", {**PREDICT2, "in_channels": 17}, (16, 2, 8, 8)),
        kwargs={"image_to_video": True},
    ),
    "Anima": Family(
        *("Anima", _anima, {**PREDICT2, "image_model": "anima"}, (16, 1, 8, 8)),
        conds=lambda seed: {"t5xxl_ids": torch.arange(6) + seed, "t5xxl_weights": torch.ones(6)},
        wide=(16, 1, 8, 12),
    ),
}
