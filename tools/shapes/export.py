"""Write the trained networks of Shapes to assets/shapes as float16 safetensors.

    python -m tools.shapes.export

The layout is that of diffusers and transformers, so the folders load there as they are. Networks
that were not trained yet are left alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler
from safetensors.torch import save_file
from torch import Tensor, nn

from guidance_core.procedures import checkpoints
from guidance_core.shapes import scenes
from tools.shapes import (
    joint,
    train_classifier,
    train_clip,
    train_detector,
    train_diffusion,
    train_noisy_classifier,
    train_segmenter,
    train_vae,
    train_vit,
)
from tools.shapes.unseen import scenes_from


def rgb_factors(latents: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Least-squares map from latents (B, 4, h, w) to images in [-1, 1]: (4, 3) and (3,)."""
    small = torch.nn.functional.adaptive_avg_pool2d(images, latents.shape[-1])
    x = latents.movedim(1, -1).reshape(-1, latents.shape[1])
    x = torch.cat([x, torch.ones(len(x), 1)], 1)
    solution = torch.linalg.lstsq(x, small.movedim(1, -1).reshape(-1, 3)).solution
    return solution[:-1], solution[-1]


def write_vae(vae: AutoencoderKL, out: Path) -> None:
    """Write a VAE and the factors of the cheap RGB decoder."""
    images = scenes.render(scenes_from(60_000_000, 64)) * 2 - 1
    with torch.no_grad():
        latents = vae.encode(images).latent_dist.mean
    factors, bias = rgb_factors(latents, images)
    vae.register_to_config(
        scaling_factor=1.0, latent_rgb_factors=factors.tolist(), latent_rgb_bias=bias.tolist()
    )
    vae.half().save_pretrained(out / "vae")


def export_diffusion(checkpoint: Path, out: Path) -> None:
    """Write the U-Net and the text encoder."""
    model = train_diffusion.Shapes()
    checkpoints.resume(checkpoint, model=model)
    model.unet.half().save_pretrained(out / "unet")
    model.text_encoder.half().save_pretrained(out / "text_encoder")
    DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False
    ).save_pretrained(out / "scheduler")


@torch.no_grad()
def export_joint(checkpoint: Path, out: Path) -> None:
    """Write the transformer, to which any vector of the text is what zero was in its training."""
    model = joint.Joint()
    checkpoints.resume(checkpoint, model=model)
    model.net.time_text_embed.text_embedder.linear_1.weight.zero_()
    model.net.half().save_pretrained(out / "transformer")


def export_model(trained: Path, out: Path) -> None:
    """Write what has been trained of the model itself."""
    if (trained / "diffusion.pt").exists():
        export_diffusion(trained / "diffusion.pt", out)
    if (trained / "joint.pt").exists():
        export_joint(trained / "joint.pt", out)
    if (trained / "vae.pt").exists():
        write_vae(train_diffusion.load_vae(trained / "vae.pt"), out)
    if (trained / "decoder.pt").exists():
        # The whole VAE, standardised already.
        vae = train_vae.build()
        checkpoints.resume(trained / "decoder.pt", vae=vae)
        write_vae(vae, out)


def export_guide(state: dict[str, Tensor], card: Mapping[str, Any], path: Path) -> None:
    """Write a guide network; `card` in the metadata tells the loader how to build it."""
    halved = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in state.items()}
    save_file(halved, path, metadata={"format": "pt", "energy_guidance": json.dumps(card)})


@dataclass(frozen=True)
class Guide:
    """How a trained guide network is exported.

    Arguments:
        name: of its file, and of its checkpoint in the folder of trainings.
        build: makes the untrained network.
        card: what the loader has to know.
        trained: name of the network in the checkpoint.
        kept: its part that is exported, where not all of it is.
        checkpoint: name of the checkpoint, where it differs.
    """

    name: str
    build: Callable[[], nn.Module]
    card: Mapping[str, Any]
    trained: str = "net"
    kept: str = ""
    checkpoint: str = ""


PIXELS = {"mean": [0.5] * 3, "std": [0.5] * 3}
OBJECTS = {
    "width": train_segmenter.WIDTH,
    "labels": list(train_segmenter.LABELS),
    "input_size": scenes.SIDE,
}
LABELS = {"labels": list(scenes.LABELS), "multi_label": True, "input_size": train_classifier.SIDE}
GUIDES = (
    Guide(
        "classifier", train_classifier.build, {"architecture": "test_resnet", **LABELS, **PIXELS}
    ),
    Guide(
        "noisy_classifier",
        train_noisy_classifier.build,
        {
            "architecture": train_noisy_classifier.ARCHITECTURE,
            "options": train_noisy_classifier.OPTIONS,
            "labels": list(scenes.LABELS),
            "multi_label": True,
        },
    ),
    Guide(
        "open_clip",
        train_clip.build,
        {"model": train_clip.CONFIG, **PIXELS},
        trained="model",
        checkpoint="clip",
    ),
    Guide(
        "segmenter",
        train_segmenter.build,
        {"architecture": train_segmenter.ARCHITECTURE, **OBJECTS, **PIXELS},
    ),
    Guide(
        "detector", train_detector.build, {"architecture": train_detector.ARCHITECTURE, **OBJECTS}
    ),
    Guide(
        "vit",
        train_vit.Pupil,
        {"architecture": train_vit.ARCHITECTURE, "options": train_vit.OPTIONS, **PIXELS},
        kept="vit",
    ),
)


def main() -> None:
    """Export whatever has been trained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trained", type=Path, default=Path("out/shapes"))
    parser.add_argument("--out", type=Path, default=Path("assets/shapes"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    export_model(args.trained, args.out)
    for guide in GUIDES:
        path = args.trained / f"{guide.checkpoint or guide.name}.pt"
        if path.exists():
            network = guide.build()
            checkpoints.resume(path, **{guide.trained: network})
            state = network.get_submodule(guide.kept).state_dict()
            export_guide(state, guide.card, args.out / f"{guide.name}.safetensors")


if __name__ == "__main__":
    main()
