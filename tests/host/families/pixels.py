"""Transformers of pixels and of shapes, without or with an autoencoder of their own kind."""

from __future__ import annotations

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

FAMILIES = {
    "PixelDiT": Family(*("PixelDiTT2I", "PixelDiTT2I", PIXELDIT, (3, 32, 32)), wide=(3, 32, 48)),
    "Hunyuan3D 2": Family("Hunyuan3Dv2", "Hunyuan3Dv2", HUNYUAN_3D, (64, 16)),
}
