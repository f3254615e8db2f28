"""The families of models that have templates: files, and how one samples them.

Names of files, addresses, sizes, steps and samplers are those of the templates that ComfyUI brings
(comfyui-workflow-templates); SD 1.5's checkpoint is the one of ComfyUI's start page.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.templates.graph import File, huggingface

TAESD = "https://github.com/madebyollin/taesd/raw/main"
FEW = 8  # steps of distilled models, at most
LIGHT = "lightx2v/Autoencoders"


@dataclass(frozen=True)
class Family:
    """A family of models.

    Arguments:
        key: start of the names of its templates.
        title: what people call it.
        short: the same, as the name of a file.
        model: its diffusion model, or a checkpoint with text encoder and VAE.
        tiny: its tiny decoder.
        latent: node that makes the empty latent.
        size: width and height in pixels.
        steps, cfg, sampler, scheduler: of the sampler.
        encoders: files of text encoders, none in a checkpoint.
        encoder_type: what the text encoder's loader calls them.
        vae: its file, None in a checkpoint.
        shift: node and value that shift the noise schedule.
        negative: the negative prompt; None where CFG is 1, so that none is looked at.
        newer: whether ComfyUI 0.3.64 lacks the family, or what loads its tiny decoder.
        length: frames of a video.
    """

    key: str
    title: str
    short: str
    model: File
    tiny: File
    latent: str
    size: tuple[int, int]
    steps: int
    cfg: float
    sampler: str = "euler"
    scheduler: str = "simple"
    encoders: tuple[File, ...] = ()
    encoder_type: str = ""
    vae: File | None = None
    shift: tuple[str, float] | None = None
    negative: str | None = None
    newer: bool = False
    length: int = 1

    @property
    def loads_tiny(self) -> bool:
        """Whether the tiny decoder is a VAE of its own for Load VAE (those of videos are)."""
        return self.tiny.name.startswith("light")

    @property
    def takes_few_steps(self) -> bool:
        """Whether it is distilled."""
        return self.steps <= FEW

    @property
    def is_video(self) -> bool:
        """Whether it samples several frames."""
        return self.length > 1


def _tiny(name: str) -> File:
    return File(name, f"{TAESD}/{name}", "vae_approx")


CLIP_L = huggingface("text_encoders", "comfyanonymous/flux_text_encoders", "clip_l.safetensors")
T5 = huggingface("text_encoders", "comfyanonymous/flux_text_encoders", "t5xxl_fp16.safetensors")
LIGHT_21 = huggingface("vae_approx", LIGHT, "lighttaew2_1.safetensors")

SD15 = Family(
    key="sd15",
    title="Stable Diffusion 1.5",
    short="SD 1.5",
    model=huggingface(
        "checkpoints",
        "Comfy-Org/stable-diffusion-v1-5-archive",
        "v1-5-pruned-emaonly-fp16.safetensors",
    ),
    tiny=huggingface("vae_approx", "madebyollin/taesd", "taesd_decoder.safetensors"),
    latent="EmptyLatentImage",
    size=(512, 512),
    steps=25,
    cfg=7.0,
    scheduler="normal",
    negative="text, watermark, blurry",
)
SDXL = Family(
    key="sdxl",
    title="SDXL",
    short="SDXL",
    model=huggingface(
        "checkpoints", "stabilityai/stable-diffusion-xl-base-1.0", "sd_xl_base_1.0.safetensors"
    ),
    tiny=huggingface("vae_approx", "madebyollin/taesdxl", "taesdxl_decoder.safetensors"),
    latent="EmptyLatentImage",
    size=(1024, 1024),
    steps=25,
    cfg=7.0,
    scheduler="normal",
    negative="text, watermark, blurry",
)
FLUX1 = Family(
    key="flux1-dev",
    title="FLUX.1 [dev]",
    short="FLUX.1 dev",
    model=huggingface("diffusion_models", "Comfy-Org/flux1-dev", "flux1-dev.safetensors"),
    tiny=_tiny("taef1_decoder.pth"),
    latent="EmptySD3LatentImage",
    size=(1024, 1024),
    steps=20,
    cfg=1.0,
    encoders=(CLIP_L, T5),
    encoder_type="flux",
    vae=huggingface(
        "vae", "Comfy-Org/Lumina_Image_2.0_Repackaged", "split_files/vae/ae.safetensors"
    ),
)
FLUX2_KLEIN = Family(
    key="flux2-klein",
    title="FLUX.2 [klein] 4B",
    short="FLUX.2 klein",
    model=huggingface(
        "diffusion_models",
        "Comfy-Org/flux2-klein",
        "split_files/diffusion_models/flux-2-klein-4b.safetensors",
    ),
    tiny=_tiny("taef2_decoder.pth"),
    latent="EmptyFlux2LatentImage",
    size=(1024, 1024),
    steps=4,
    cfg=1.0,
    scheduler="Flux2Scheduler",
    encoders=(
        huggingface(
            "text_encoders",
            "Comfy-Org/flux2-klein",
            "split_files/text_encoders/qwen_3_4b.safetensors",
        ),
    ),
    encoder_type="flux2",
    vae=huggingface("vae", "Comfy-Org/flux2-dev", "split_files/vae/flux2-vae.safetensors"),
    newer=True,
)
QWEN_IMAGE = Family(
    key="qwen-image",
    title="Qwen-Image",
    short="Qwen-Image",
    model=huggingface(
        "diffusion_models",
        "Comfy-Org/Qwen-Image_ComfyUI",
        "split_files/diffusion_models/qwen_image_fp8_e4m3fn.safetensors",
    ),
    tiny=LIGHT_21,
    latent="EmptySD3LatentImage",
    size=(1328, 1328),
    steps=20,
    cfg=4.0,
    encoders=(
        huggingface(
            "text_encoders",
            "Comfy-Org/Qwen-Image_ComfyUI",
            "split_files/text_encoders/qwen_2.5_vl_7b_fp8_scaled.safetensors",
        ),
    ),
    encoder_type="qwen_image",
    vae=huggingface(
        "vae", "Comfy-Org/Qwen-Image_ComfyUI", "split_files/vae/qwen_image_vae.safetensors"
    ),
    shift=("ModelSamplingAuraFlow", 3.1),
    negative="",
    newer=True,
)
Z_IMAGE = Family(
    key="z-image-turbo",
    title="Z-Image-Turbo",
    short="Z-Image-Turbo",
    model=huggingface(
        "diffusion_models",
        "Comfy-Org/z_image_turbo",
        "split_files/diffusion_models/z_image_turbo_bf16.safetensors",
    ),
    tiny=_tiny("taef1_decoder.pth"),
    latent="EmptySD3LatentImage",
    size=(1024, 1024),
    steps=8,
    cfg=1.0,
    sampler="res_multistep",
    encoders=(
        huggingface(
            "text_encoders",
            "Comfy-Org/z_image_turbo",
            "split_files/text_encoders/qwen_3_4b.safetensors",
        ),
    ),
    encoder_type="lumina2",
    vae=huggingface("vae", "Comfy-Org/z_image_turbo", "split_files/vae/ae.safetensors"),
    shift=("ModelSamplingAuraFlow", 3.0),
    newer=True,
)
KREA2 = Family(
    key="krea2-turbo",
    title="Krea 2 Turbo",
    short="Krea 2 Turbo",
    model=huggingface(
        "diffusion_models",
        "Comfy-Org/Krea-2",
        "diffusion_models/krea2_turbo_fp8_scaled.safetensors",
    ),
    tiny=LIGHT_21,
    latent="EmptyLatentImage",
    size=(1024, 1024),
    steps=8,
    cfg=1.0,
    encoders=(
        huggingface(
            "text_encoders", "Comfy-Org/Krea-2", "text_encoders/qwen3vl_4b_fp8_scaled.safetensors"
        ),
    ),
    encoder_type="krea2",
    vae=huggingface("vae", "Comfy-Org/Krea-2", "vae/qwen_image_vae.safetensors"),
    newer=True,
)
WAN22 = Family(
    key="wan22-5b",
    title="Wan 2.2 5B",
    short="Wan 2.2 5B",
    model=huggingface(
        "diffusion_models",
        "Comfy-Org/Wan_2.2_ComfyUI_Repackaged",
        "split_files/diffusion_models/wan2.2_ti2v_5B_fp16.safetensors",
    ),
    tiny=huggingface("vae_approx", LIGHT, "lighttaew2_2.safetensors"),
    latent="Wan22ImageToVideoLatent",
    size=(1280, 704),
    steps=20,
    cfg=5.0,
    sampler="uni_pc",
    encoders=(
        huggingface(
            "text_encoders",
            "Comfy-Org/Wan_2.1_ComfyUI_repackaged",
            "split_files/text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        ),
    ),
    encoder_type="wan",
    vae=huggingface(
        "vae", "Comfy-Org/Wan_2.2_ComfyUI_Repackaged", "split_files/vae/wan2.2_vae.safetensors"
    ),
    shift=("ModelSamplingSD3", 8.0),
    negative="static, blurry, text, watermark",
    newer=True,
    length=49,
)
FAMILIES = (SDXL, SD15, FLUX1, FLUX2_KLEIN, QWEN_IMAGE, Z_IMAGE, KREA2, WAN22)
