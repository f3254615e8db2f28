"""Audio: Stable Audio, ACE-Step, MiniMax-Music3."""

from __future__ import annotations

import comfy.ldm.audio.embedders
import comfy.model_base
import torch
from energy_guidance.tests.host import tiny
from energy_guidance.tests.host.families.family import Family, draw

STABLE_AUDIO = {
    "audio_model": "dit1.0",
    "global_cond_dim": 1536,
    "project_cond_tokens": True,
    "embed_dim": 64,
    "num_heads": 2,
    "depth": 2,
    "cond_token_dim": 768,
    "io_channels": 64,
    "input_concat_dim": 0,
}
ACE = {
    "audio_model": "ace",
    "attention_head_dim": 32,
    "in_channels": 8,
    "inner_dim": 64,
    "max_height": 16,
    "max_position": 256,
    "max_width": 256,
    "mlp_ratio": 2.0,
    "num_attention_heads": 2,
    "num_layers": 2,
    "out_channels": 8,
    "patch_size": [16, 1],
    "rope_theta": 1000000.0,
    "speaker_embedding_dim": 512,
    "text_embedding_dim": 32,
    "ssl_encoder_depths": [1, 1],
    "ssl_latent_dims": [16, 16],
    "ssl_names": ["mert", "m-hubert"],
    "lyric_encoder_vocab_size": 32,
    "lyric_hidden_size": 1024,
}
ACE_15 = {
    "audio_model": "ace1.5",
    "in_channels": 192,
    "hidden_size": 64,
    "text_hidden_dim": 32,
    "timbre_hidden_dim": 64,
    "audio_acoustic_hidden_dim": 64,
    "num_dit_layers": 2,
    "num_lyric_layers": 1,
    "num_timbre_layers": 1,
    "num_tokenizer_layers": 1,
    "num_heads": 2,
    "num_kv_heads": 1,
    "head_dim": 32,
    "intermediate_size": 64,
    "fsq_dim": 64,
    "encoder_hidden_size": 64,
    "encoder_intermediate_size": 64,
    "encoder_num_heads": 2,
}


STABLE_AUDIO_3 = {
    **STABLE_AUDIO,
    "global_cond_dim": 768,
    "global_cond_shared_embed": True,
    "local_add_cond_dim": 65,
    "timestep_features_type": "expo",
}


def _stable_audio_3(config):
    seconds = comfy.ldm.audio.embedders.NumberConditioner(
        768, min_val=0, max_val=384, fourier_features_type="expo"
    )
    tiny._filled(seconds)
    return _with_angles(comfy.model_base.StableAudio3(config, seconds.state_dict()))


def _stable_audio(config):
    seconds = comfy.ldm.audio.embedders.NumberConditioner(768, min_val=0, max_val=512)
    tiny._filled(seconds)
    embedders = (seconds.state_dict(), seconds.state_dict())
    return _with_angles(comfy.model_base.StableAudio1(config, *embedders))


def _with_angles(model):
    """Fill the frequencies that come with its weights: the host leaves memory as it finds it."""
    for name, buffer in model.diffusion_model.named_buffers():
        if name.endswith("inv_freq"):
            buffer.copy_(10000 ** -torch.linspace(0, 1, len(buffer)))
    return model


# Channels of MiniMax-Music3 that are made fewer; its latents and its text keep theirs.
FEWER = {2048: 128, 2304: 384, 6144: 384, 8192: 256, 16384: 512}


def _minimax_music(config):
    """The host's model, whose network knows one size: two of its blocks, with fewer channels."""
    model = comfy.model_base.MiniMaxMusic3(config, device=torch.device("meta"))
    model.device = None
    transformer = model.diffusion_model.diffusion_transformer.transformer
    del transformer.layers[2:]
    for layer in transformer.layers:
        layer.self_attn.num_heads = FEWER[2048] // layer.self_attn.dim_heads
    for module in model.diffusion_model.modules():
        for kept in (module._parameters, module._buffers):
            for name, tensor in kept.items():
                if tensor is not None:
                    fewer = torch.zeros([FEWER.get(n, n) for n in tensor.shape], dtype=tensor.dtype)
                    is_weight = isinstance(tensor, torch.nn.Parameter)
                    kept[name] = torch.nn.Parameter(fewer, False) if is_weight else fewer
    return _with_angles(model)


FAMILIES = {
    "Stable Audio": Family(
        *("StableAudio", _stable_audio, STABLE_AUDIO, (64, 24)), width=768, wide=(64, 32)
    ),
    "Stable Audio 3": Family(
        *("StableAudio3", _stable_audio_3, STABLE_AUDIO_3, (64, 24)), width=768, wide=(64, 32)
    ),
    "ACE-Step": Family(
        *("ACEStep", "ACEStep", ACE, (8, 16, 20)),
        conds=lambda seed: {"conditioning_lyrics": torch.arange(5)[None] + seed},
    ),
    "ACE-Step 1.5": Family(
        *("ACEStep15", "ACEStep15", ACE_15, (64, 20)),
        conds=lambda seed: {"conditioning_lyrics": draw(seed, 1, 5, 32)},
        wide=(64, 30),
    ),
    # Longer than the 689 places that it sees at once.
    "MiniMax-Music3": Family(
        *("MiniMaxMusic3", _minimax_music, {"audio_model": "minimax_music3"}, (128, 20)),
        width=8 * 4096,
        conds=lambda seed: {"conditioning_scale": torch.ones(1, 1, 1)},
        wide=(128, 720),
    ),
}
