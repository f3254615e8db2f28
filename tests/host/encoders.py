"""Tiny text encoders and VAEs of the families that have templates, with random weights."""

from __future__ import annotations

import functools
import importlib
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comfy.sd
import comfy.sd1_clip
import comfy.sdxl_clip
import safetensors.torch
import sentencepiece
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.taesd.taesd import TAESD
from energy_guidance.tests.host import tiny

CLIP = {"num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
# Deep as the real ones: FLUX.2 and Krea 2 take states of many of their layers.
LLAMA = {"num_attention_heads": 1, "num_key_value_heads": 1, "intermediate_size": 32}
T5 = {"num_layers": 2, "num_heads": 2, "d_kv": 16, "d_ff": 32}
TINY = {"taesd": 4, "taesdxl": 4, "taef1": 16, "taef2": 128}
SENTENCE = "a red apple and a blue cup on a wooden table, a quiet street in an old town, evening"


def _module(name: str) -> Any:
    return importlib.import_module(f"comfy.text_encoders.{name}")


def _clip(kind: Any, tokenizer: Any, sizes: dict, data: dict | None = None) -> Any:
    """The host's CLIP of a text encoder's class."""
    target = SimpleNamespace(clip=kind, tokenizer=tokenizer, params={})
    options = {f"{name}_model_config": size for name, size in sizes.items()}
    with torch.inference_mode():
        clip = comfy.sd.CLIP(target, tokenizer_data=data or {}, model_options=options)
        for part in clip.cond_stage_model.modules():
            if hasattr(part, "visual"):
                del part.visual  # as large as the real one, and of no use to sentences
        tiny._filled(clip.cond_stage_model)
    return clip


def sd1() -> Any:
    """CLIP-L."""
    kind, tokenizer = comfy.sd1_clip.SD1ClipModel, comfy.sd1_clip.SD1Tokenizer
    return _clip(kind, tokenizer, {"clip_l": {**CLIP, "hidden_size": 32}})


def sdxl() -> Any:
    """CLIP-L and CLIP-G side by side."""
    sizes = {"clip_l": {**CLIP, "hidden_size": 16}, "clip_g": {**CLIP, "hidden_size": 16}}
    return _clip(comfy.sdxl_clip.SDXLClipModel, comfy.sdxl_clip.SDXLTokenizer, sizes)


def flux1() -> Any:
    """CLIP-L and T5."""
    sizes = {"clip_l": {**CLIP, "hidden_size": 32}, "t5xxl": {**T5, "d_model": 48}}
    flux = _module("flux")
    return _clip(flux.flux_clip(), flux.FluxTokenizer, sizes)


def flux2() -> Any:
    """Qwen 3, three of its layers."""
    flux = _module("flux")
    sizes = {"qwen3_4b": {**LLAMA, "hidden_size": 16}}
    return _clip(flux.klein_te(), flux.KleinTokenizer, sizes)


def qwen_image() -> Any:
    """Qwen 2.5 VL."""
    qwen = _module("qwen_image")
    return _clip(qwen.te(), qwen.QwenImageTokenizer, {"qwen25_7b": {**LLAMA, "hidden_size": 32}})


def z_image() -> Any:
    """Qwen 3."""
    z = _module("z_image")
    return _clip(z.te(), z.ZImageTokenizer, {"qwen3_4b": {**LLAMA, "hidden_size": 32}})


def krea2() -> Any:
    """Qwen 3 VL, twelve of its layers."""
    krea = _module("krea2")
    return _clip(krea.te(), krea.Krea2Tokenizer, {"qwen3vl_4b": {**LLAMA, "hidden_size": 32}})


def wan() -> Any:
    """UMT5, with the vocabulary of a few words: its own comes with its weights."""
    wan = _module("wan")
    sizes = {"umt5xxl": {**T5, "d_model": 32, "vocab_size": 400}}
    return _clip(wan.te(), wan.WanT5Tokenizer, sizes, {"spiece_model": vocabulary()})


def vocabulary() -> torch.Tensor:
    """A sentencepiece model as weights of text encoders hold it."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([SENTENCE] * 8),
        model_writer=written,
        vocab_size=300,
        hard_vocab_limit=False,
        byte_fallback=True,
        pad_id=0,
        eos_id=1,
        bos_id=-1,
        unk_id=2,
        minloglevel=2,
    )
    return torch.frombuffer(bytearray(written.getvalue()), dtype=torch.uint8)


def image_vae(channels: int) -> Any:
    """An autoencoder of Stable Diffusion's anatomy for latents of some channels."""
    layout = {"double_z": True, "z_channels": channels, "resolution": 64, "in_channels": 3}
    widths = {"out_ch": 3, "ch": 32, "ch_mult": [1, 1, 1, 1], "num_res_blocks": 1}
    config = {**layout, **widths, "attn_resolutions": [], "dropout": 0.0}
    params = {"ddconfig": config, "embed_dim": channels}
    with torch.inference_mode():
        weights = AutoencoderKL(**params)
        tiny._filled(weights)
        return comfy.sd.VAE(sd=weights.state_dict(), config={"params": params})


def _loaded(weights: torch.nn.Module) -> Any:
    """The host's VAE of a network that it recognises by its weights."""
    with torch.inference_mode():
        tiny._filled(weights)
        return comfy.sd.VAE(sd=weights.state_dict())


def wan21_vae() -> Any:
    """The VAE of Wan 2.1, Qwen-Image and Krea 2."""
    from comfy.ldm.wan.vae import WanVAE

    return _loaded(WanVAE(dim=8, z_dim=16))


def tiny_vae(channels: int) -> Any:
    """The tiny decoder of latents of videos, as the host loads it: Wan 2.1's (16), 2.2's (48)."""
    taehv = importlib.import_module("comfy.taesd.taehv")  # newer hosts only
    return _loaded(taehv.TAEHV(latent_channels=channels))


def flux2_vae() -> Any:
    """The tiny autoencoder of FLUX.2, as the host loads it."""
    with torch.inference_mode():
        weights = TAESD(latent_channels=128)
        tiny._filled(weights)
        return comfy.sd.VAE(sd=weights.state_dict(), metadata={"tae_latent_channels": 128})


def save_tiny_decoders(folder: Path) -> None:
    """Write a tiny decoder for each name that latent formats ask for."""
    for name, channels in TINY.items():
        with torch.inference_mode():
            decoder = TAESD(latent_channels=channels).taesd_decoder
            tiny._filled(decoder)
        safetensors.torch.save_file(decoder.state_dict(), folder / f"{name}_decoder.safetensors")


ENCODERS: dict[str, Callable[[], Any]] = {
    "sd15": sd1,
    "sdxl": sdxl,
    "flux1-dev": flux1,
    "flux2-klein": flux2,
    "qwen-image": qwen_image,
    "z-image-turbo": z_image,
    "krea2-turbo": krea2,
    "wan22-5b": wan,
}
VAES: dict[str, Callable[[], Any]] = {
    "sd15": functools.partial(image_vae, 4),
    "sdxl": functools.partial(image_vae, 4),
    "flux1-dev": functools.partial(image_vae, 16),
    "flux2-klein": flux2_vae,
    "qwen-image": wan21_vae,
    "z-image-turbo": functools.partial(image_vae, 16),
    "krea2-turbo": wan21_vae,
    "wan22-5b": functools.partial(tiny_vae, 48),
}
