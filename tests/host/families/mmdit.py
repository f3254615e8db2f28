"""Text and image in two streams: SD3.5, AuraFlow, HiDream, Qwen-Image and their like."""

from __future__ import annotations

import comfy.supported_models
from energy_guidance.tests.host.families.family import Family, draw

SD3 = {
    "in_channels": 16,
    "patch_size": 2,
    "depth": 2,
    "input_size": None,
    "adm_in_channels": 32,
    "context_embedder_config": {
        "target": "torch.nn.Linear",
        "params": {"in_features": 48, "out_features": 128},
    },
    "num_patches": 64,
    "pos_embed_max_size": 8,
    "pos_embed_scaling_factor": None,
    "qk_norm": "rms",
    "x_block_self_attn_layers": [0],
}
AURAFLOW = {
    "cond_seq_dim": 32,
    "dim": 64,
    "n_layers": 2,
    "n_double_layers": 1,
    "n_heads": 2,
    "global_conddim": 64,
    "max_seq": 64,
}
HIDREAM = {
    "image_model": "hidream",
    "attention_head_dim": 32,
    "axes_dims_rope": [16, 8, 8],
    "caption_channels": [32, 32],
    "max_resolution": [16, 16],
    "in_channels": 16,
    "llama_layers": [0, 1],
    "num_attention_heads": 2,
    "num_routed_experts": 2,
    # Both of the experts: a choice among them is a step, of which there are no differences.
    "num_activated_experts": 2,
    "num_layers": 1,
    "num_single_layers": 1,
    "out_channels": 16,
    "patch_size": 2,
    "text_emb_dim": 32,
}
QWEN = {
    "image_model": "qwen_image",
    "in_channels": 64,
    "out_channels": 16,
    "num_layers": 2,
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "joint_attention_dim": 32,
    "axes_dims_rope": (8, 12, 12),
}
MAGE = {**QWEN, "image_model": "mage_flow", "in_channels": 128, "out_channels": 128}
JOY_ROPE = {"rope_dim_list": [8, 12, 12]}
JOY = {
    "image_model": "joyimage",
    "in_channels": 16,
    "hidden_size": 64,
    "num_attention_heads": 2,
    "text_dim": 32,
    "mlp_width_ratio": 2.0,
    "num_layers": 2,
    **JOY_ROPE,
}
LENS = {
    "image_model": "lens",
    "in_channels": 128,
    "out_channels": 32,
    "num_layers": 2,
    "num_attention_heads": 2,
    "attention_head_dim": 32,
    "enc_hidden_dim": 32,
    "axes_dims_rope": (8, 12, 12),
    "multi_layer_encoder_feature": False,
    "selected_layer_index": (0,),
}
# Several frames are layers of an image, which the oldest hosts do not know.
LAYERS = (1, 3) if hasattr(comfy.supported_models, "ZImage") else (1,)
SQUARE, WIDE = (16, 8, 8), (16, 8, 12)


def _llama(seed):
    return {"conditioning_llama3": draw(seed, 1, 2, 5, 32)}


FAMILIES = {
    "SD3.5": Family(
        *("SD3", "SD3", SD3, SQUARE),
        width=48,
        pooled=32,
        wide=WIDE,
        after=lambda model: model.diffusion_model.pos_embed.zero_(),
    ),
    "AuraFlow": Family("AuraFlow", "AuraFlow", AURAFLOW, (4, 8, 8), wide=(4, 8, 12)),
    "HiDream-I1": Family(
        *("HiDream", "HiDream", HIDREAM, SQUARE),
        pooled=32,
        conds=_llama,
        wide=WIDE,
    ),
    # The image of reference stands beside the latent, in the same rows of tokens.
    "HiDream-E1": Family(
        *("HiDream", "HiDream", HIDREAM, SQUARE),
        pooled=32,
        conds=lambda seed: {**_llama(seed), "concat_latent_image": draw(3, 1, *SQUARE)},
        wide=WIDE,
    ),
    "Qwen-Image": Family(
        *("QwenImage", "QwenImage", QWEN, (16, 1, 4, 4)), wide=(16, 1, 4, 6), frames=LAYERS
    ),
    "Qwen-Image-Edit": Family(
        *("QwenImage", "QwenImage", QWEN, (16, 1, 4, 4)),
        conds=lambda seed: {"reference_latents": [draw(3, 1, 16, 1, 4, 4)]},
        frames=LAYERS,
    ),
    "Mage-Flow": Family("MageFlow", "MageFlow", MAGE, (128, 4, 4), wide=(128, 4, 6)),
    "JoyImage": Family(
        *("JoyImage", "JoyImage", JOY, (16, 1, 8, 8)), wide=(16, 1, 8, 12), extra=JOY_ROPE
    ),
    "Lens": Family("Lens", "Lens", LENS, (128, 4, 4), wide=(128, 4, 6)),
}
