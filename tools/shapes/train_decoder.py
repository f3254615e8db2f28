"""Train the decoder of Shapes' VAE on, the encoder and so the latents as they are.

    python -m tools.shapes.train_decoder --steps 4000

A U-Net that was trained on these latents stays right. Parts of 64 pixels around an object first,
whole scenes for the last third: all but the middle attention is local.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from guidance_core.shapes import scenes
from tools.shapes import training
from tools.shapes.latents import WINDOW, Latents, generator_of

CELL = scenes.SIDE // 16
# Share of the training on parts, their side in latent cells, and how many stand for one scene.
PARTS, SIDE, DENSITY = 0.67, 8, 3
# Latents of a sampler are not exact: up to this much noise is laid over them.
NOISE = 0.05


def batch_of(
    latents: Latents, size: int, parts: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Latents (B, 4, h, w) and the images (B, 3, 8 h, 8 w) in [-1, 1] that they stand for."""
    rows = torch.randint(0, WINDOW, (size * DENSITY if parts else size,), generator=generator)
    drawn = [latents.scenes[row] for row in rows.tolist()]
    x0, images = latents.latents[rows], scenes.render(drawn) * 2 - 1
    x0 = x0 + NOISE * torch.rand(len(x0), 1, 1, 1, generator=generator) * torch.randn(
        x0.shape, generator=generator
    )
    if not parts:
        return x0, images
    cut = [_part(*row, generator) for row in zip(x0, images, drawn, strict=True)]
    return tuple(torch.stack(part) for part in zip(*cut, strict=True))


def _part(
    x0: Tensor, image: Tensor, scene: scenes.Scene, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A square of latents with at least a part of one object, and its image."""
    item = scene.items[int(torch.randint(0, len(scene.items), (), generator=generator))]
    jitter = torch.rand(2, generator=generator) - 0.5
    corner = torch.tensor([item.y, item.x]) / CELL + (jitter - 0.5) * SIDE
    top, left = corner.round().clamp(0, 16 - SIDE).int().tolist()
    y, x = (slice(CELL * start, CELL * (start + SIDE)) for start in (top, left))
    return x0[:, top : top + SIDE, left : left + SIDE], image[:, y, x]


def main() -> None:
    """Train, resuming from the last checkpoint."""
    parser = training.parser(__doc__, steps=4000, batch=8, lr=1e-3, out="decoder.pt")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--init", type=Path, default=Path("assets/shapes"))
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    vae = AutoencoderKL.from_pretrained(args.init / "vae", torch_dtype=torch.float32).eval()
    vae.requires_grad_(False)
    decoder = torch.nn.ModuleList([vae.post_quant_conv, vae.decoder]).requires_grad_(True)
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=args.lr, betas=(0.9, 0.99))
    latents = Latents(vae, args.seed)

    def loss_at(step: int) -> training.Loss:
        latents.upto(WINDOW + step)
        generator = generator_of(args.seed, 30_000_000 + step)
        x0, images = batch_of(latents, args.batch, step / args.steps < PARTS, generator)
        error = vae.decode(x0.to(memory_format=torch.channels_last)).sample - images
        mse = error.square().mean()
        return error.abs().mean() + mse, {"psnr": training.psnr(mse)}

    training.train(args, loss_at, optimiser, training.linear(args), vae=vae)


if __name__ == "__main__":
    main()
