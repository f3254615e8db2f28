"""FLUX and what is built like it: double blocks of text and image, then single ones."""

from __future__ import annotations

import torch
from comfy.ldm.chroma.model import ChromaParams
from comfy.ldm.chroma_radiance.model import ChromaRadianceParams
from comfy.ldm.flux.model import FluxParams
from energy_guidance.tests.host import tiny
from energy_guidance.tests.host.families.family import Family, draw, known_by

NEWER = {"txt_ids_dims": [], "global_modulation": False, "mlp_silu_act": False}
FLUX = known_by(FluxParams, {**tiny.FLUX, "guidance_embed": True, **NEWER})
FLUX2 = {
    "image_model": "flux2",
    "in_channels": 128,
    "out_channels": 128,
    "vec_in_dim": None,
    "context_in_dim": 48,
    "hidden_size": 64,
    "mlp_ratio": 3.0,
    "num_heads": 2,
    "depth": 2,
    "depth_single_blocks": 1,
    "axes_dim": [8, 8, 8, 8],
    "theta": 2000,
    "patch_size": 1,
    "qkv_bias": False,
    "guidance_embed": True,
    "txt_ids_dims": [3],
    "global_modulation": True,
    "mlp_silu_act": True,
    "ops_bias": False,
    "default_ref_method": "index",
    "ref_index_scale": 10.0,
}
CHROMA = {
    "image_model": "chroma",
    "in_channels": 64,
    "out_channels": 64,
    "context_in_dim": 48,
    "hidden_size": 64,
    "mlp_ratio": 2.0,
    "num_heads": 2,
    "depth": 1,
    "depth_single_blocks": 1,
    "axes_dim": [8, 12, 12],
    "theta": 10000,
    "patch_size": 2,
    "qkv_bias": True,
    "in_dim": 64,
    "out_dim": 64,
    "hidden_dim": 64,
    "n_layers": 2,
    "txt_ids_dims": [],
    "vec_in_dim": None,
}
RADIANCE = {
    **CHROMA,
    "image_model": "chroma_radiance",
    "in_channels": 3,
    "out_channels": 3,
    "patch_size": 16,
    "nerf_hidden_size": 16,
    "nerf_mlp_ratio": 2,
    "nerf_depth": 1,
    "nerf_max_freqs": 4,
    "nerf_tile_size": 512,
    "nerf_final_head_type": "conv",
    "nerf_embedder_dtype": torch.float32,
    "use_x0": False,
    "use_sequential_txt_ids": False,
}
LONGCAT = {**FLUX, "vec_in_dim": None, "guidance_embed": False, "txt_ids_dims": [1, 2]}
SQUARE, WIDE = (16, 8, 8), (16, 8, 12)


def _reference(*shape):
    return lambda seed: {"reference_latents": [draw(3, 1, *shape)]}


FAMILIES = {
    "FLUX.1": Family("Flux", "Flux", FLUX, SQUARE, width=48, pooled=32, wide=WIDE),
    "FLUX.1 Kontext": Family(
        *("Flux", "Flux", FLUX, SQUARE),
        width=48,
        pooled=32,
        conds=_reference(*SQUARE),
        wide=WIDE,
    ),
    "FLUX.1 Fill": Family(
        *("FluxInpaint", "Flux", {**FLUX, "in_channels": 96}, SQUARE),
        width=48,
        pooled=32,
    ),
    "FLUX.2": Family("Flux2", "Flux2", FLUX2, (128, 4, 4), width=48, wide=(128, 4, 6)),
    "FLUX.2 with a reference": Family(
        *("Flux2", "Flux2", FLUX2, (128, 4, 4)), width=48, conds=_reference(128, 4, 4)
    ),
    "Chroma": Family(
        *("Chroma", "Chroma", known_by(ChromaParams, CHROMA), SQUARE),
        width=48,
        pooled=32,
        wide=WIDE,
    ),
    "Chroma Radiance": Family(
        *("ChromaRadiance", "ChromaRadiance"),
        *(known_by(ChromaRadianceParams, RADIANCE), (3, 32, 32)),
        width=48,
        pooled=32,
        wide=(3, 32, 48),
    ),
    "LongCat-Image": Family("LongCatImage", "LongCatImage", LONGCAT, SQUARE, width=48, wide=WIDE),
}
