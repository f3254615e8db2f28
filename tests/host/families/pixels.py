"""Transformers of pixels and of shapes, without or with an autoencoder of their own kind."""

from __future__ import annotations

import torch
from energy_guidance.tests.host.families.family import Family

PIXELDIT = {
    "image_model": "pixeldit_t2i",
    "num_groups": 2,
    "hidden_size": 64,
    "pixel_hidden_size": 16,
    "pixel_attn_hidden_size": 32,
    "pixel_num_groups": 2,
    "patch_depth": 2,
    "pixel_depth": 1,
    "patch_size": 8,
    "txt_embed_dim": 32,
    "txt_max_length": 7,
}
# The token of the time is the last of its vocabulary, which cannot be smaller.
HIDREAM_O1 = {
    "image_model": "hidream_o1",
    "text_config_overrides": {
        "vocab_size": 151680,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "rope_dims": [6, 5, 5],
    },
    "vision_config_overrides": {
        "hidden_size": 32,
        "num_heads": 2,
        "intermediate_size": 64,
        "depth": 1,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": (),
    },
}
HUNYUAN_3D = {
    "image_model": "hunyuan3d2",
    "in_channels": 64,
    "context_in_dim": 32,
    "hidden_size": 64,
    "mlp_ratio": 2.0,
    "num_heads": 2,
    "depth": 1,
    "depth_single_blocks": 1,
}


def _tokens(seed):
    """A chat of some words, that ends in the token of the time."""
    words = [100 + seed, 200, 300]
    return {"text_input_ids": torch.tensor([[151644, 872, 198, *words, 151645, 151673]])}


FAMILIES = {
    "HiDream-O1": Family(
        *("HiDreamO1", "HiDreamO1", HIDREAM_O1, (3, 64, 64)), conds=_tokens, wide=(3, 64, 96)
    ),
    "PixelDiT": Family(*("PixelDiTT2I", "PixelDiTT2I", PIXELDIT, (3, 32, 32)), wide=(3, 32, 48)),
    "Hunyuan3D 2": Family("Hunyuan3Dv2", "Hunyuan3Dv2", HUNYUAN_3D, (64, 16)),
}
