"""One stream of text and image: Lumina 2, Z-Image, OmniGen2, Boogu, Ernie, Ideogram, Krea 2."""

from __future__ import annotations

import torch
from comfy.ldm.lumina.model import NextDiT
from energy_guidance.tests.host.families.family import Family, draw, known_by

LUMINA = {
    "image_model": "lumina2",
    "patch_size": 2,
    "in_channels": 16,
    "dim": 64,
    "cap_feat_dim": 32,
    "n_layers": 2,
    "n_refiner_layers": 1,
    "qk_norm": True,
    "n_heads": 2,
    "n_kv_heads": 1,
    "axes_dims": [8, 12, 12],
    "axes_lens": [300, 512, 512],
    "rope_theta": 10000.0,
    "ffn_dim_multiplier": 2.0,
    "multiple_of": 32,
}
Z_IMAGE = {
    **LUMINA,
    "dim": 256,
    "axes_dims": [32, 48, 48],
    "n_kv_heads": 2,
    "z_image_modulation": True,
    "time_scale": 1000.0,
    "pad_tokens_multiple": 32,
    "rope_theta": 256.0,
}
Z_PIXEL = {
    **{name: value for name, value in Z_IMAGE.items() if name != "pad_tokens_multiple"},
    "image_model": "zimage_pixel",
    "rope_theta": 10000.0,
    "patch_size": 4,
    "in_channels": 3,
    "decoder_in_channels": 48,
    "decoder_hidden_size": 32,
    "decoder_num_res_blocks": 1,
    "decoder_max_freqs": 4,
}
OMNIGEN2 = {
    "image_model": "omnigen2",
    "axes_dim_rope": [8, 12, 12],
    "axes_lens": [64, 64, 64],
    "hidden_size": 64,
    "num_layers": 2,
    "num_refiner_layers": 1,
    "num_attention_heads": 2,
    "num_kv_heads": 1,
    "multiple_of": 32,
    "text_feat_dim": 32,
    "timestep_scale": 1000.0,
    "in_channels": 16,
}
BOOGU = {
    "image_model": "boogu",
    "axes_dim_rope": (8, 12, 12),
    "axes_lens": (64, 64, 64),
    "hidden_size": 64,
    "num_layers": 2,
    "num_double_stream_layers": 1,
    "num_refiner_layers": 1,
    "num_attention_heads": 2,
    "num_kv_heads": 1,
    "multiple_of": 32,
    "instruction_feat_dim": 32,
}
ERNIE = {
    "image_model": "ernie",
    "hidden_size": 64,
    "num_attention_heads": 2,
    "num_layers": 2,
    "ffn_hidden_size": 64,
    "in_channels": 128,
    "out_channels": 128,
    "patch_size": 1,
    "text_in_dim": 32,
    "rope_axes_dim": (8, 12, 12),
}
IDEOGRAM_SIZES = {
    "num_attention_heads": 2,
    "attention_head_dim": 32,
    "intermediate_size": 64,
    "adaln_dim": 32,
    "llm_features_dim": 32,
    "mrope_section": [6, 5, 5],
}
IDEOGRAM = {"image_model": "ideogram4", "in_channels": 128, "num_layers": 2, **IDEOGRAM_SIZES}
KREA2 = {
    "image_model": "krea2",
    "features": 64,
    "tdim": 32,
    "txtdim": 32,
    "heads": 2,
    "kvheads": 1,
    "multiplier": 2,
    "layers": 2,
    "channels": 16,
    "patch": 2,
    "txtlayers": 2,
    "txtheads": 2,
    "txtkvheads": 1,
}
SQUARE, WIDE = (16, 8, 8), (16, 8, 12)


def _mask(seed):
    return {"attention_mask": torch.ones(1, 7, dtype=torch.long)}


def _mask_and_reference(seed):
    return {**_mask(seed), "reference_latents": [draw(3, 1, *SQUARE)]}


FAMILIES = {
    "Lumina 2": Family(
        *("Lumina2", "Lumina2", known_by(NextDiT, LUMINA), SQUARE), conds=_mask, wide=WIDE
    ),
    "Z-Image": Family("ZImage", "Lumina2", Z_IMAGE, SQUARE, wide=WIDE),
    "Z-Image (pixels)": Family(
        *("ZImagePixelSpace", "ZImagePixelSpace", Z_PIXEL, (3, 16, 16)), wide=(3, 16, 24)
    ),
    "OmniGen2": Family("Omnigen2", "Omnigen2", OMNIGEN2, SQUARE, conds=_mask, wide=WIDE),
    "OmniGen2 with a reference": Family(
        *("Omnigen2", "Omnigen2", OMNIGEN2, SQUARE), conds=_mask_and_reference
    ),
    "Boogu": Family("Boogu", "Boogu", BOOGU, SQUARE, conds=_mask, wide=WIDE),
    "ERNIE-Image": Family("ErnieImage", "ErnieImage", ERNIE, (128, 4, 4), wide=(128, 4, 6)),
    "Ideogram 4": Family(
        *("Ideogram4", "Ideogram4", IDEOGRAM, (128, 4, 4)), wide=(128, 4, 6), extra=IDEOGRAM_SIZES
    ),
    "Krea 2": Family(
        *("Krea2", "Krea2", KREA2, (16, 1, 8, 8)), width=64, wide=(16, 1, 8, 12), frames=(1,)
    ),
}
