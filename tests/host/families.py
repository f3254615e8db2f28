"""Tiny models of families beside U-Nets, SD3 and FLUX, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import comfy.ldm.audio.embedders
import comfy.model_base
import comfy.supported_models
import torch
from energy_guidance.nodes.host import guide
from energy_guidance.tests.host import probe, tiny

PIXART = {
    "input_size": 32,
    "hidden_size": 64,
    "depth": 2,
    "num_heads": 2,
    "caption_channels": 32,
    "model_max_length": 7,
    "patch_size": 2,
    "in_channels": 4,
    "image_model": "pixart_sigma",
    "micro_condition": False,
    "pe_interpolation": 2,
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
WAN = {
    "image_model": "wan2.1",
    "model_type": "t2v",
    "patch_size": (1, 2, 2),
    "in_dim": 16,
    "dim": 96,
    "ffn_dim": 96,
    "freq_dim": 32,
    "text_dim": 32,
    "out_dim": 16,
    "num_heads": 2,
    "num_layers": 2,
    "text_len": 16,
    "qk_norm": True,
    "cross_attn_norm": True,
    "eps": 1e-6,
}
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


def _draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _two_encoders(seed: int) -> dict[str, Any]:
    masks = {"attention_mask": torch.ones(1, 7), "attention_mask_mt5xl": torch.ones(1, 9)}
    return {"conditioning_mt5xl": _draw(seed, 1, 9, 32), **masks}


def _stable_audio(config: Any) -> Any:
    seconds = comfy.ldm.audio.embedders.NumberConditioner(768, min_val=0, max_val=512)
    tiny._filled(seconds)
    return comfy.model_base.StableAudio1(config, seconds.state_dict(), seconds.state_dict())


@dataclass(frozen=True)
class Family:
    """A tiny model of a family, and what sampling it takes.

    Arguments:
        config: the host's configuration.
        base: the host's model, or what makes it of the configuration.
        settings: of its network.
        latent: shape without the batch.
        width: of its text states.
        conds: what else its conditioning holds, for a seed.
    """

    config: str
    base: str | Callable
    settings: dict
    latent: tuple[int, ...]
    width: int = 32
    conds: Callable[[int], dict] = lambda seed: {}

    def model(self) -> Any:
        """A MODEL that was loaded under inference mode."""
        base = getattr(comfy.model_base, self.base) if isinstance(self.base, str) else self.base
        with torch.inference_mode():
            config = getattr(comfy.supported_models, self.config)(dict(self.settings))
            config.set_inference_dtype(torch.float32, None)
            model = base(config)
            tiny._filled(model.diffusion_model)
            for buffer in model.diffusion_model.buffers():
                if buffer.dtype.is_floating_point and not torch.isfinite(buffer).all():
                    buffer.zero_()
            model.eval()
        return tiny.patcher(model)

    def options(self) -> dict[str, Any]:
        """What tiny.sample needs."""
        one, two = (tiny.cond(seed, self.width, **self.conds(seed)) for seed in (1, 2))
        return {"latent": torch.zeros(1, *self.latent), "positive": one, "negative": two}


FAMILIES = {
    "PixArt": Family("PixArtSigma", "PixArt", PIXART, (4, 34, 34)),
    "HunyuanDiT": Family("HunyuanDiT", "HunyuanDiT", HUNYUAN_DIT, (4, 8, 8), conds=_two_encoders),
    "Qwen-Image": Family("QwenImage", "QwenImage", QWEN, (16, 1, 4, 4)),
    "Wan": Family("WAN21_T2V", "WAN21", WAN, (16, 1, 4, 4)),
    "Stable Audio": Family("StableAudio", _stable_audio, STABLE_AUDIO, (64, 24), width=768),
    "ACE-Step": Family(
        *("ACEStep", "ACEStep", ACE, (8, 16, 20)),
        conds=lambda seed: {"conditioning_lyrics": torch.arange(5)[None] + seed},
    ),
    "ACE-Step 1.5": Family(
        *("ACEStep15", "ACEStep15", ACE_15, (64, 20)),
        conds=lambda seed: {"conditioning_lyrics": _draw(seed, 1, 5, 32)},
    ),
}
FAMILIES = {
    name: family
    for name, family in FAMILIES.items()
    if hasattr(comfy.supported_models, family.config)
}


def slope(model: Any, family: str) -> torch.Tensor:
    """The gradient through a model in the middle of three steps, which agrees with differences."""
    records: list[Any] = []
    with torch.inference_mode():
        guided = guide.apply(model, [probe.Slopes(step=0.1)], trace=records.append)
        tiny.sample(guided, steps=3, cfg=1.0, **FAMILIES[family].options())
    probe.agree(records[1])
    return records[1].terms["grad"]
