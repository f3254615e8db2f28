"""Write the trained networks of Shapes to assets/shapes as float16 safetensors.

    python -m tools.shapes.export

The layout is that of diffusers and transformers, so the folders load there as they are. Networks
that were not trained yet are left alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler
from safetensors.torch import save_file
from torch import Tensor

from guidance_core.shapes import scenes
from tools.shapes import (
    checkpoints,
    train_classifier,
    train_clip,
    train_detector,
    train_diffusion,
    train_segmenter,
    train_vae,
    train_vit,
)


def rgb_factors(latents: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Least-squares map from latents (B, 4, h, w) to pictures in [-1, 1]: (4, 3) and (3,)."""
    small = torch.nn.functional.adaptive_avg_pool2d(pictures, latents.shape[-1])
    x = latents.movedim(1, -1).reshape(-1, latents.shape[1])
    x = torch.cat([x, torch.ones(len(x), 1)], 1)
    solution = torch.linalg.lstsq(x, small.movedim(1, -1).reshape(-1, 3)).solution
    return solution[:-1], solution[-1]


def write_vae(vae: AutoencoderKL, out: Path) -> None:
    """Write a VAE and the factors of the cheap RGB decoder."""
    drawn = [scenes.random_scene(torch.Generator().manual_seed(60_000_000 + i)) for i in range(64)]
    pictures = scenes.render(drawn) * 2 - 1
    with torch.no_grad():
        latents = vae.encode(pictures).latent_dist.mean
    factors, bias = rgb_factors(latents, pictures)
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


def export_model(trained: Path, out: Path) -> None:
    """Write what has been trained of the model itself."""
    if (trained / "diffusion.pt").exists():
        export_diffusion(trained / "diffusion.pt", out)
    if (trained / "vae.pt").exists():
        write_vae(train_diffusion.load_vae(trained / "vae.pt"), out)
    if (trained / "decoder.pt").exists():
        # The whole VAE, standardised already.
        vae = train_vae.build()
        checkpoints.resume(trained / "decoder.pt", vae=vae)
        write_vae(vae, out)


def export_guide(state: dict[str, Tensor], card: dict, path: Path) -> None:
    """Write a guide network; `card` in the metadata tells the loader how to build it."""
    halved = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in state.items()}
    save_file(halved, path, metadata={"format": "pt", "energy_guidance": json.dumps(card)})


def main() -> None:
    """Export whatever has been trained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trained", type=Path, default=Path("out/shapes"))
    parser.add_argument("--out", type=Path, default=Path("assets/shapes"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    pixels = {"mean": [0.5] * 3, "std": [0.5] * 3}
    export_model(args.trained, args.out)
    if (args.trained / "classifier.pt").exists():
        net = train_classifier.build()
        checkpoints.resume(args.trained / "classifier.pt", net=net)
        card = {
            "architecture": "test_resnet",
            "labels": list(scenes.LABELS),
            "multi_label": True,
            "input_size": train_classifier.SIDE,
        }
        export_guide(net.state_dict(), card | pixels, args.out / "classifier.safetensors")
    if (args.trained / "clip.pt").exists():
        model = train_clip.build()
        checkpoints.resume(args.trained / "clip.pt", model=model)
        card = {"model": train_clip.CONFIG}
        export_guide(model.state_dict(), card | pixels, args.out / "open_clip.safetensors")
    if (args.trained / "segmenter.pt").exists():
        net = train_segmenter.build()
        checkpoints.resume(args.trained / "segmenter.pt", net=net)
        card = {
            "architecture": train_segmenter.ARCHITECTURE,
            "width": train_segmenter.WIDTH,
            "labels": list(train_segmenter.LABELS),
            "input_size": scenes.SIDE,
        }
        export_guide(net.state_dict(), card | pixels, args.out / "segmenter.safetensors")
    if (args.trained / "detector.pt").exists():
        net = train_detector.build()
        checkpoints.resume(args.trained / "detector.pt", net=net)
        card = {
            "architecture": train_detector.ARCHITECTURE,
            "width": train_segmenter.WIDTH,
            "labels": list(train_segmenter.LABELS),
            "input_size": scenes.SIDE,
        }
        export_guide(net.state_dict(), card, args.out / "detector.safetensors")
    if (args.trained / "vit.pt").exists():
        pupil = train_vit.Pupil()
        checkpoints.resume(args.trained / "vit.pt", net=pupil)
        card = {"architecture": train_vit.ARCHITECTURE, "options": train_vit.OPTIONS}
        export_guide(pupil.vit.state_dict(), card | pixels, args.out / "vit.safetensors")


if __name__ == "__main__":
    main()
