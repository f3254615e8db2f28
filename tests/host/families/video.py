"""Videos: HunyuanVideo and -Image, LTX, Mochi, Cosmos, CogVideoX, Kandinsky 5."""

from __future__ import annotations

import torch
from comfy.ldm.hunyuan_video.model import HunyuanVideoParams
from energy_guidance.tests.host.families.family import Family, draw, known_by

_HUNYUAN = {
    "image_model": "hunyuan_video",
    "in_channels": 16,
    "patch_size": [1, 2, 2],
    "out_channels": 16,
    "vec_in_dim": 32,
    "axes_dim": [8, 12, 12],
    "context_in_dim": 32,
    "hidden_size": 64,
    "mlp_ratio": 2.0,
    "num_heads": 2,
    "depth": 1,
    "depth_single_blocks": 1,
    "theta": 256,
    "qkv_bias": True,
    "guidance_embed": True,
    "byt5": False,
    "meanflow": False,
    "use_cond_type_embedding": False,
    "vision_in_dim": None,
    "meanflow_sum": False,
}
HUNYUAN = known_by(HunyuanVideoParams, _HUNYUAN)
PLAIN_HUNYUAN = {**HUNYUAN, "vec_in_dim": None, "guidance_embed": False}
HUNYUAN_15 = {
    **PLAIN_HUNYUAN,
    "in_channels": 65,
    "out_channels": 32,
    "patch_size": [1, 1, 1],
    "use_cond_type_embedding": True,
}
HUNYUAN_IMAGE = {
    **PLAIN_HUNYUAN,
    "in_channels": 64,
    "out_channels": 64,
    "patch_size": [1, 1],
    "axes_dim": [16, 16],
}
LTX = {
    "image_model": "ltxv",
    "in_channels": 128,
    "cross_attention_dim": 64,
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "caption_channels": 32,
    "num_layers": 2,
}
LTX_AV = {
    **LTX,
    "image_model": "ltxav",
    "audio_in_channels": 128,
    "audio_cross_attention_dim": 32,
    "audio_attention_head_dim": 16,
    "audio_num_attention_heads": 2,
    # Of text that is not processed yet; by default they alone hold 700 million weights.
    "connector_attention_head_dim": 16,
    "connector_num_attention_heads": 2,
    "connector_num_layers": 1,
}
MINIMAX = {
    "image_model": "minimax_h3",
    "hidden_size": 48,
    "num_layers": 2,
    "token_refiner_num_layers": 1,
    "num_attention_heads": 2,
    "attention_head_dim": 24,
    "ffn_hidden_size": 64,
    "text_dim": 32,
    "timestep_input_dim": 32,
    "time_embed_hidden_size": 48,
    "time_embed_dim": 32,
    "rope_inv_freq_len": 4,
}
MOCHI = {
    "image_model": "mochi_preview",
    "depth": 2,
    "patch_size": 2,
    "num_heads": 2,
    "hidden_size_x": 64,
    "hidden_size_y": 32,
    "mlp_ratio_x": 192,
    "mlp_ratio_y": 2.0,
    "learn_sigma": False,
    "in_channels": 12,
    "qk_norm": True,
    "qkv_bias": False,
    "out_bias": True,
    "attn_drop": 0.0,
    "patch_embed_bias": True,
    "posenc_preserve_area": True,
    "timestep_mlp_bias": True,
    "attend_to_padding": False,
    "timestep_scale": 1000.0,
    "use_t5": True,
    "t5_feat_dim": 32,
    "t5_token_length": 7,
    "rope_theta": 10000.0,
}
COSMOS = {
    "image_model": "cosmos",
    "max_img_h": 16,
    "max_img_w": 16,
    "max_frames": 16,
    "in_channels": 16,
    "out_channels": 16,
    "patch_spatial": 2,
    "patch_temporal": 1,
    "model_channels": 64,
    "block_config": "FA-CA-MLP",
    "concat_padding_mask": True,
    "pos_emb_cls": "rope3d",
    "pos_emb_learnable": False,
    "pos_emb_interpolation": "crop",
    "block_x_format": "THWBD",
    "affline_emb_norm": True,
    "use_adaln_lora": True,
    "adaln_lora_dim": 16,
    "num_blocks": 2,
    "num_heads": 2,
    "crossattn_emb_channels": 32,
    "extra_per_block_abs_pos_emb": True,
    "extra_per_block_abs_pos_emb_type": "learnable",
}
COGVIDEO = {
    "image_model": "cogvideox",
    "num_attention_heads": 2,
    "attention_head_dim": 64,
    "time_embed_dim": 32,
    "num_layers": 2,
    "in_channels": 16,
    "patch_size": 2,
    "text_embed_dim": 32,
    "use_rotary_positional_embeddings": True,
    "sample_width": 8,
    "sample_height": 8,
    "sample_frames": 5,
    "max_text_seq_length": 7,
}
KANDINSKY = {
    "image_model": "kandinsky5",
    "model_dim": 64,
    "axes_dims": (8, 12, 12),
    "time_dim": 32,
    "ff_dim": 64,
    "visual_embed_dim": 132,
    "num_text_blocks": 1,
    "num_visual_blocks": 2,
    "in_text_dim": 32,
    "in_text_dim2": 32,
}
KANDINSKY_IMAGE = {**KANDINSKY, "visual_embed_dim": 64, "rope_scale_factor": (1.0, 1.0, 1.0)}
FRAMES, WIDE = (16, 2, 8, 8), (16, 2, 8, 12)
FROM_IMAGE = {"image_to_video": True}


def _mask(seed):
    return {"attention_mask": torch.ones(1, 7, dtype=torch.long)}


def _image(seed):
    return {"concat_latent_image": draw(3, 1, *FRAMES)}


def _given(height, width):
    """The first frame is given; the host adds the others' mask."""
    return {"concat_mask": torch.zeros(1, 1, 1, height, width)}


def _angles(model):
    """Fill the frequencies that come with its weights: the host leaves memory as it finds it."""
    frequencies = model.diffusion_model.rope.inv_freq
    frequencies.copy_(100 ** -torch.linspace(0, 1, len(frequencies)))


FAMILIES = {
    "HunyuanVideo": Family(
        *("HunyuanVideo", "HunyuanVideo", HUNYUAN, FRAMES), pooled=32, wide=WIDE
    ),
    "HunyuanVideo image to video": Family(
        *("HunyuanVideoI2V", "HunyuanVideoI2V", {**HUNYUAN, "in_channels": 33}, FRAMES),
        pooled=32,
        conds=_image,
    ),
    "SkyReels image to video": Family(
        *("HunyuanVideoSkyreelsI2V", "HunyuanVideoSkyreelsI2V"),
        *({**HUNYUAN, "in_channels": 32}, FRAMES),
        pooled=32,
        conds=_image,
    ),
    "HunyuanVideo 1.5": Family(
        *("HunyuanVideo15", "HunyuanVideo15", HUNYUAN_15, (32, 2, 4, 4)),
        pooled=32,
        wide=(32, 2, 4, 6),
    ),
    "HunyuanVideo 1.5 image to video": Family(
        *("HunyuanVideo15", "HunyuanVideo15", HUNYUAN_15, (32, 2, 4, 4)),
        pooled=32,
        conds=lambda seed: {"concat_latent_image": draw(3, 1, 32, 2, 4, 4), **_given(4, 4)},
        wide=(32, 2, 4, 6),
        frames=(2,),
    ),
    "HunyuanImage 2.1": Family(
        *("HunyuanImage21", "HunyuanImage21", HUNYUAN_IMAGE, (64, 8, 8)), wide=(64, 8, 12)
    ),
    "LTX-Video": Family(*("LTXV", "LTXV", LTX, (128, 2, 4, 4)), conds=_mask, wide=(128, 2, 4, 6)),
    "LTX-2 with sound": Family(
        *("LTXAV", "LTXAV", LTX_AV, (128, 2, 4, 4)),
        width=64,
        conds=_mask,
        wide=(128, 2, 4, 6),
        sound=(8, 6, 16),
    ),
    "LTX-2": Family(
        *("LTXAV", "LTXAV", LTX_AV, (128, 2, 4, 4)), width=64, conds=_mask, wide=(128, 2, 4, 6)
    ),
    "MiniMax-H3": Family(
        *("MiniMaxH3", "MiniMaxH3", MINIMAX, (24, 2, 4, 4)),
        wide=(24, 2, 4, 6),
        sound=(32, 2, 8),
        after=_angles,
    ),
    "Mochi": Family(
        *("GenmoMochi", "GenmoMochi", MOCHI, (12, 2, 8, 8)), conds=_mask, wide=(12, 2, 8, 12)
    ),
    "Cosmos 1": Family("CosmosT2V", "CosmosVideo", COSMOS, FRAMES, wide=WIDE),
    "Cosmos 1 image to video": Family(
        *("CosmosI2V", "CosmosVideo", {**COSMOS, "in_channels": 17}, FRAMES), kwargs=FROM_IMAGE
    ),
    "CogVideoX image to video": Family(
        *("CogVideoX_I2V", "CogVideoX", {**COGVIDEO, "in_channels": 32}, FRAMES),
        conds=_image,
        kwargs=FROM_IMAGE,
    ),
    "CogVideoX inpainting": Family(
        *("CogVideoX_Inpaint", "CogVideoX", {**COGVIDEO, "in_channels": 48}, FRAMES),
        conds=_image,
        kwargs=FROM_IMAGE,
    ),
    "CogVideoX": Family("CogVideoX_T2V", "CogVideoX", COGVIDEO, FRAMES, wide=WIDE),
    "Kandinsky 5": Family("Kandinsky5", "Kandinsky5", KANDINSKY, FRAMES, pooled=32, wide=WIDE),
    "Kandinsky 5 image to video": Family(
        *("Kandinsky5", "Kandinsky5", KANDINSKY, WIDE),
        pooled=32,
        conds=lambda seed: {"time_dim_replace": draw(3, 1, 16, 1, 8, 12), **_given(8, 12)},
        frames=(2,),
    ),
    "Kandinsky 5 image": Family(
        *("Kandinsky5Image", "Kandinsky5Image", KANDINSKY_IMAGE, (16, 1, 8, 8)),
        pooled=32,
        wide=(16, 1, 8, 12),
    ),
}
