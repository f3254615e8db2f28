"""The embedded model as the host's own MODEL, CLIP and VAE, from diffusers-layout files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comfy.model_base
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models
import comfy.utils
import folder_paths
from comfy.ldm.modules.diffusionmodules import model as autoencoder
from torch import nn

from .networks import ASSETS
from .shapes_files import config_of, file_of, weights_of
from .shapes_flow import FlowUNet
from .shapes_joint import TEXT, load_transformer
from .shapes_latent import ShapesLatent
from .shapes_model import model_of

NO_LORA, TURBO, THREE_OBJECTS = "none", "turbo", "three_objects"
EPS, FLOW = "eps", "flow"
UNET, TRANSFORMER = "unet", "transformer"
# Tokens that CLIP pads a text to.
CLIP_TEXT = 77
POSITIONS = "text_model.embeddings.position_embedding.weight"


def load(
    folder: Path = ASSETS, lora: str = NO_LORA, sampling: str = EPS, network: str = UNET
) -> tuple[Any, Any, Any]:
    """Return (MODEL, CLIP, VAE) of the embedded model.

    Arguments:
        folder: holds unet/, transformer/, vae/ and text_encoder/, each a config.json and a
            safetensors file, and the LoRA files.
        lora: none, turbo or three_objects; of the U-Net.
        sampling: of the U-Net: eps, as it was trained, or flow.
        network: unet, or transformer, a flow model of joint attention.

    Raises:
        ValueError: a file is missing or does not fit, or a LoRA is asked of the transformer.
    """
    if network == TRANSFORMER:
        if lora != NO_LORA:
            raise ValueError(
                f"lora must be none with the transformer, got {lora}: it is the U-Net's"
            )
        return load_transformer(folder), load_clip(folder, TEXT), load_vae(folder)
    model = load_model(folder, sampling)
    if lora != NO_LORA:
        model = _with_lora(model, file_of(folder, "", f"{lora}.safetensors"))
    return model, load_clip(folder), load_vae(folder)


def _with_lora(model: Any, file: Path) -> Any:
    """What the stock LoraLoaderModelOnly makes of a file."""
    changes = comfy.utils.load_torch_file(str(file), safe_load=True)
    return comfy.sd.load_lora_for_models(model, None, changes, 1.0, 0.0)[0]


class ShapesConfig(comfy.supported_models.SD15):
    """Stable Diffusion 1.5's recipe (scaled-linear betas, eps) around another U-Net."""

    unet_extra_config: dict[str, Any] = {}


def unet_config(config: dict[str, Any]) -> dict[str, Any]:
    """Translate a UNet2DConditionModel's config to the host's UNetModel."""
    widths, layers = config["block_out_channels"], config["layers_per_block"]
    heads = config["attention_head_dim"]  # diffusers' name for the number of heads
    crossed = [1 if "CrossAttn" in kind else 0 for kind in config["down_block_types"]]
    crossed_up = [1 if "CrossAttn" in kind else 0 for kind in config["up_block_types"]]
    return {
        "image_size": 32,
        "in_channels": config["in_channels"],
        "out_channels": config["out_channels"],
        "model_channels": widths[0],
        "channel_mult": [width // widths[0] for width in widths],
        "num_res_blocks": [layers] * len(widths),
        "transformer_depth": [depth for depth in crossed for _ in range(layers)],
        # The host takes these from the end, diffusers' first up block is the deepest.
        "transformer_depth_output": [d for d in reversed(crossed_up) for _ in range(layers + 1)],
        "transformer_depth_middle": 1,
        "num_head_channels": widths[0] // (heads[0] if isinstance(heads, list) else heads),
        "context_dim": config["cross_attention_dim"],
        "use_spatial_transformer": True,
        "use_linear_in_transformer": config.get("use_linear_projection", False),
        "use_temporal_attention": False,
        "legacy": False,
        "adm_in_channels": None,
    }


def regroup(network: nn.Module, groups: int) -> None:
    """Normalise over `groups` groups of channels: the host's classes always take 32."""
    for module in network.modules():
        if isinstance(module, nn.GroupNorm):
            module.num_groups = groups


@contextlib.contextmanager
def norms_of(groups: int) -> Iterator[None]:
    """Build autoencoders with this many groups: narrow layers cannot even be built with 32."""
    # The layers hold the function itself, as their default: only its own default can change.
    normalize = autoencoder.Normalize
    stock, normalize.__defaults__ = normalize.__defaults__, (groups,)
    try:
        yield
    finally:
        normalize.__defaults__ = stock


def load_model(folder: Path = ASSETS, sampling: str = EPS) -> Any:
    """Return the U-Net as a MODEL, of eps or flow."""
    weights, card = weights_of(folder, "unet"), config_of(folder, "unet")
    config = unet_config(card)
    names = comfy.utils.unet_to_diffusers(config)
    named = {names[key]: value for key, value in weights.items()}

    def build(recipe: ShapesConfig) -> Any:
        model = _flow(recipe) if sampling == FLOW else comfy.model_base.BaseModel(recipe)
        regroup(model.diffusion_model, card["norm_num_groups"])
        return model

    return model_of(folder, ShapesConfig(config), named, build)


def _flow(recipe: ShapesConfig) -> Any:
    network, kind = partial(FlowUNet, recipe), comfy.model_base.ModelType.FLOW
    return comfy.model_base.BaseModel(recipe, kind, unet_model=network)


def is_shapes(model: Any) -> bool:
    """Whether a MODEL is the embedded one, by either network."""
    return isinstance(model.model.latent_format, ShapesLatent)


def load_vae(folder: Path = ASSETS) -> Any:
    """Return the autoencoder as a VAE."""
    config, weights = config_of(folder, "vae"), weights_of(folder, "vae")
    widths = config["block_out_channels"]
    layout = {
        "double_z": True,
        "z_channels": config["latent_channels"],
        "resolution": 256,
        "in_channels": config["in_channels"],
        "out_ch": config["out_channels"],
        "ch": widths[0],
        "ch_mult": [width // widths[0] for width in widths],
        "num_res_blocks": config["layers_per_block"],
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    params = {"ddconfig": layout, "embed_dim": config["latent_channels"]}
    with norms_of(config["norm_num_groups"]):
        return comfy.sd.VAE(sd=weights, config={"params": params})


def _text_weights(folder: Path, places: int) -> dict[str, Any]:
    # Newer versions of transformers leave the prefix out.
    full = lambda key: key if key.startswith("text_") else "text_model." + key
    weights = {full(key): value for key, value in weights_of(folder, "text_encoder").items()}
    # The host adds all positions to a text: there must be as many as tokens.
    weights[POSITIONS] = weights[POSITIONS][:places]
    return weights


def load_clip(folder: Path = ASSETS, places: int = CLIP_TEXT) -> Any:
    """Return the text encoder as a CLIP, with the host's own CLIP tokenizer.

    Arguments:
        folder: as in `load`.
        places: tokens that a text is padded to.
    """
    config, weights = config_of(folder, "text_encoder"), _text_weights(folder, places)
    width, classes = config["hidden_size"], comfy.sd1_clip
    text_config = {**config, "eos_token_id": 49407, "max_position_embeddings": places}

    class ShapesText(classes.SDClipModel):
        def __init__(self, **options: Any) -> None:
            super().__init__(
                textmodel_json_config=dict(text_config), return_projected_pooled=False, **options
            )

    class ShapesTokens(classes.SDTokenizer):
        def __init__(self, **options: Any) -> None:
            super().__init__(embedding_size=width, max_length=places, **options)

    target = SimpleNamespace(
        params={"clip_model": ShapesText},
        clip=classes.SD1ClipModel,
        tokenizer=lambda **options: classes.SD1Tokenizer(tokenizer=ShapesTokens, **options),
    )
    clip = comfy.sd.CLIP(
        target,
        embedding_directory=folder_paths.get_folder_paths("embeddings"),
        parameters=comfy.utils.calculate_parameters(weights),
    )
    missing, _ = clip.load_sd(weights)
    lost = [name for name in missing if "logit_scale" not in name and "projection" not in name]
    if lost:
        raise ValueError(f"the text encoder's file lacks {', '.join(lost[:3])}: install it again")
    return clip
