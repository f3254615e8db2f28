"""Models of the host's own classes, with random weights, small enough for a CPU."""

from __future__ import annotations

import dataclasses
import functools
import json

import comfy.latent_formats
import comfy.ldm.flux.model
import comfy.model_base
import comfy.model_patcher
import comfy.samplers
import comfy.sd
import comfy.supported_models
import torch

UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [1, 1],
    "channel_mult": (1, 2),
    "transformer_depth": [1, 1],
    "transformer_depth_output": [1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "num_head_channels": 16,
    "context_dim": 32,
    "use_spatial_transformer": True,
    "legacy": False,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
}
FLUX = {
    "image_model": "flux",
    "in_channels": 16,
    "out_channels": 16,
    "vec_in_dim": 32,
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
    "guidance_embed": False,
}

DRAWN = 2**18  # numbers of one weight


def _filled(model: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for name, p in model.named_parameters():
        if not p.dtype.is_floating_point:
            continue
        fan = max(p[0].numel(), 1) if p.ndim > 1 else 1
        noise = _drawn(p.shape, generator) * (fan**-0.5 if p.ndim > 1 else 0.1)
        norm = ("norm" in name and name.endswith("weight")) or name.endswith((".gamma", ".scale"))
        p.copy_((noise + (1.0 if p.ndim == 1 and norm else 0.0)).to(p.dtype))


def _drawn(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Noise that repeats itself in what is too large to be drawn for each test."""
    noise = torch.randn(max(min(shape.numel(), DRAWN), 1), generator=generator)
    return noise.repeat(-(-shape.numel() // len(noise)))[: shape.numel()].view(shape)


def patcher(model: torch.nn.Module) -> comfy.model_patcher.ModelPatcher:
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)


def unet(kind: str = "eps", dtype: torch.dtype = torch.float32, cast: bool = False, **changes):
    """A U-Net of Stable Diffusion 1.5's anatomy, as a MODEL that was loaded under inference
    mode."""
    with torch.inference_mode():
        config = comfy.supported_models.SD15({**UNET, **changes})
        config.set_inference_dtype(dtype, torch.float32 if cast else None)
        types = comfy.model_base.ModelType
        model = comfy.model_base.BaseModel(
            config, {"eps": types.EPS, "v": types.V_PREDICTION, "flow": types.FLOW}[kind]
        )
        _filled(model.diffusion_model)
        model.eval()
    return patcher(model)


def sdxl():
    """A U-Net of SDXL's anatomy: several transformers per block, none at the finest level."""
    with torch.inference_mode():
        depths = {"transformer_depth": [0, 2], "transformer_depth_output": [0, 0, 2, 2]}
        settings = {**UNET, **depths, "transformer_depth_middle": 2, "adm_in_channels": 32 + 1536}
        config = comfy.supported_models.SDXL({**settings, "num_classes": "sequential"})
        config.set_inference_dtype(torch.float32, None)
        model = comfy.model_base.SDXL(config)
        _filled(model.diffusion_model)
        model.eval()
    return patcher(model)


def sd3():
    """A Stable Diffusion 3.5 with two blocks, the first with a second attention of its own."""
    linear = {"in_features": 48, "out_features": 128}
    settings = {
        "in_channels": 16,
        "patch_size": 2,
        "depth": 2,
        "input_size": None,
        "adm_in_channels": 32,
        "context_embedder_config": {"target": "torch.nn.Linear", "params": linear},
        "num_patches": 64,
        "pos_embed_max_size": 8,
        "pos_embed_scaling_factor": None,
        "qk_norm": "rms",
        "x_block_self_attn_layers": [0],
    }
    with torch.inference_mode():
        config = comfy.supported_models.SD3(settings)
        config.set_inference_dtype(torch.float32, None)
        model = comfy.model_base.SD3(config)
        _filled(model.diffusion_model)
        model.diffusion_model.pos_embed.zero_()
        model.eval()
    return patcher(model)


def flux():
    """A Flux with two blocks."""
    with torch.inference_mode():
        known = {field.name for field in dataclasses.fields(comfy.ldm.flux.model.FluxParams)}
        newer = {"txt_ids_dims": [], "global_modulation": False, "mlp_silu_act": False}
        settings = {**FLUX, **{name: value for name, value in newer.items() if name in known}}
        config = comfy.supported_models.Flux(settings)
        config.set_inference_dtype(torch.float32, None)
        model = comfy.model_base.Flux(config)
        _filled(model.diffusion_model)
        model.eval()
    return patcher(model)


@functools.cache
def wan_vae():
    """The autoencoder of Wan and Qwen-Image, of its own size: older hosts know no smaller one."""
    from comfy.ldm.wan.vae import WanVAE

    sizes = {"dim": 96, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2}
    times = {"attn_scales": [], "temperal_downsample": [False, True, True], "dropout": 0.0}
    return _video_vae(WanVAE(**sizes, **times))


@functools.cache
def ltx_vae():
    """An autoencoder of LTX, which looks at the frames before and after, with noise of its own."""
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import VideoVAE

    layers = {"num_layers": 1, "inject_noise": True}
    blocks = [["res_x", layers], ["compress_all", {"residual": True, "multiplier": 2}]]
    config = {
        "dims": 3,
        "latent_channels": 128,
        "norm_layer": "pixel_norm",
        "patch_size": 4,
        "encoder_blocks": [["res_x", {"num_layers": 1}], ["compress_all", {}]],
        "decoder_blocks": [*blocks, ["res_x", layers]],
        "decoder_base_channels": 256,
        "encoder_base_channels": 32,
        "latent_log_var": "uniform",
        "causal_decoder": False,
    }
    return _video_vae(VideoVAE(0, config), metadata={"config": json.dumps({"vae": config})})


@functools.cache
def tiny_video_vae():
    """The tiny autoencoder of Wan 2.1 (lighttaew2_1)."""
    from comfy.taesd.taehv import TAEHV

    return _video_vae(TAEHV(latent_channels=16))


def _video_vae(network: torch.nn.Module, **options):
    with torch.inference_mode():
        _filled(network)
        for weight in network.parameters():
            weight.mul_(0.7)
        for name, buffer in network.named_buffers():  # statistics that files of weights have
            buffer.fill_(float(name.endswith("std-of-means")))
        return comfy.sd.VAE(sd=network.state_dict(), **options)


@torch.inference_mode()
def cond(seed: int, width: int = 32, **extra):
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(1, 7, width, generator=generator), dict(extra)]]


@torch.inference_mode()
def latent(batch: int = 1, size: int = 8, channels: int = 4):
    return {"samples": torch.zeros(batch, channels, size, size)}


def sample(
    model,
    steps=2,
    cfg=4.0,
    sampler="euler",
    batch=1,
    size=8,
    channels=4,
    width=32,
    pooled=None,
    **options,
):
    """Sample as the stock KSampler does."""
    import comfy.sample

    extra = {} if pooled is None else {"pooled_output": torch.ones(1, pooled)}
    with torch.inference_mode():
        start = options.pop("latent", None)
        start = latent(batch, size, channels)["samples"] if start is None else start
        noise = options.pop("noise", None)
        if noise is None:
            noise = comfy.sample.prepare_noise(start, options.pop("noise_seed", 1))
        positive = options.pop("positive", None) or cond(1, width, **extra)
        negative = options.pop("negative", None) or cond(2, width, **extra)
        scheduler = options.pop("scheduler", "normal")
        return comfy.sample.sample(
            model,
            noise,
            steps,
            cfg,
            sampler,
            scheduler,
            positive,
            negative,
            start,
            disable_pbar=True,
            **{"seed": 1, **options},
        )
