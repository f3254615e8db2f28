"""U-Nets: Stable Diffusion 1 and 2, SDXL, and what was trained of them."""

from __future__ import annotations

from comfy.model_base import ModelType
from energy_guidance.tests.host import tiny
from energy_guidance.tests.host.families.family import Family, draw

LINEAR = {**tiny.UNET, "use_linear_in_transformer": True}
DEPTHS = {"transformer_depth": [0, 2], "transformer_depth_output": [0, 0, 2, 2]}
XL = {**tiny.UNET, **DEPTHS, "transformer_depth_middle": 2, "num_classes": "sequential"}
SDXL = {**XL, "adm_in_channels": 32 + 1536}
VIDEO = {
    **LINEAR,
    "in_channels": 8,
    "use_temporal_attention": True,
    "use_temporal_resblock": True,
    "adm_in_channels": 768,
    "num_classes": "sequential",
    "extra_ff_mix_layer": True,
    "use_spatial_context": True,
    "merge_strategy": "learned_with_images",
    "merge_factor": 0.0,
    "video_kernel_size": [3, 1, 1],
}
HEADS = {"num_head_channels": 16}
SQUARE, WIDE = (4, 8, 8), (4, 8, 12)


def _image(seed):
    return {"concat_latent_image": draw(3, 1, *SQUARE)}


def _half(seed):
    return {**_image(seed), "concat_mask": draw(4, 1, 1, 8, 8).gt(0).float()}


FAMILIES = {
    "SD 1.5": Family("SD15", "BaseModel", tiny.UNET, SQUARE, wide=WIDE),
    "SD 1.5 inpainting": Family(
        *("SD15", "BaseModel", {**tiny.UNET, "in_channels": 9}, SQUARE),
        conds=_half,
        after=lambda model: model.set_inpaint(),
    ),
    "InstructPix2Pix": Family(
        *("SD15_instructpix2pix", "SD15_instructpix2pix", {**tiny.UNET, "in_channels": 8}, SQUARE),
        conds=_image,
    ),
    "SD 2 (v)": Family(
        *("SD20", "BaseModel", LINEAR, SQUARE),
        wide=(4, 12, 8),
        extra=HEADS,
        kwargs={"model_type": ModelType.V_PREDICTION},
    ),
    "SDXL": Family("SDXL", "SDXL", SDXL, SQUARE, pooled=32, wide=WIDE),
    "SDXL (v)": Family(
        *("SDXL", "SDXL", SDXL, SQUARE), pooled=32, kwargs={"model_type": ModelType.V_PREDICTION}
    ),
    "SDXL (EDM, Playground)": Family(
        *("SDXL", "SDXL", SDXL, SQUARE), pooled=32, kwargs={"model_type": ModelType.EDM}
    ),
    "SDXL InstructPix2Pix": Family(
        *("SDXL_instructpix2pix", "SDXL_instructpix2pix", {**SDXL, "in_channels": 8}, SQUARE),
        pooled=32,
        conds=_image,
    ),
    "SDXL refiner": Family(
        *("SDXLRefiner", "SDXLRefiner", {**XL, "adm_in_channels": 32 + 1280}, SQUARE),
        pooled=32,
        wide=WIDE,
    ),
    "Lotus": Family(
        *("LotusD", "Lotus", {**LINEAR, "adm_in_channels": 4, "num_classes": "sequential"}, SQUARE),
        extra=HEADS,
    ),
    "Stable Video Diffusion": Family(
        *("SVD_img2vid", "SVD_img2vid", VIDEO, SQUARE),
        length=1,
        conds=_image,
        extra=HEADS,
        is_video=True,
    ),
}
