"""Train the VAE of Shapes: f = 8, four latent channels, KL-regularised.

    python -m tools.shapes.train_vae --steps 1800

Trained on crops of 48, then 64 pixels, then on whole scenes for the last tenth: all but the middle
attention is local, so crops teach the same at a fraction of the price.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from guidance_core.shapes import scenes
from tools.shapes import training

# Log-variance that the posterior starts from: at 0 its noise drowns what the encoder first learns.
START_LOGVAR = -4.0


def build() -> AutoencoderKL:
    """The untrained network, in the anatomy of Stable Diffusion's VAE."""
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(16, 32, 64, 128),
        # 32 groups of a width this small would be an instance norm, which forgets absolute colour.
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=scenes.SIDE,
    )
    torch.nn.init.constant_(vae.quant_conv.bias.data[4:], START_LOGVAR)
    return vae


def batch(step: int, size: int, side: int) -> Tensor:
    """Images in [-1, 1], (size, 3, side, side), a function of the arguments alone."""
    generator = torch.Generator().manual_seed(10_000_000 + step)
    drawn = [scenes.random_scene(generator) for _ in range(size)]
    images = scenes.render(drawn) * 2 - 1
    crops = [_crop(p, s, side, generator) for p, s in zip(images, drawn, strict=True)]
    return torch.stack(crops)


def _crop(image: Tensor, scene: scenes.Scene, side: int, generator: torch.Generator) -> Tensor:
    """A crop on the latent grid that holds at least a part of one object."""
    item = scene.items[0]
    jitter = (torch.rand(2, generator=generator) - 0.5) * side
    corner = torch.tensor([item.y, item.x]) - side / 2 + jitter
    top, left = (int(c.clamp(0, scenes.SIDE - side)) // 8 * 8 for c in corner)
    return image[:, top : top + side, left : left + side]


def side_at(fraction: float) -> int:
    """Crop side in pixels at this fraction of the training."""
    return 48 if fraction < 0.7 else 64 if fraction < 0.92 else scenes.SIDE


def loss_of(vae: AutoencoderKL, x: Tensor, kl_weight: float) -> tuple[Tensor, Tensor]:
    """Reconstruction plus KL, and the mean squared error alone for the progress bar."""
    posterior = vae.encode(x).latent_dist
    error = vae.decode(posterior.sample()).sample - x
    kl = posterior.kl().mean() / posterior.mean[0].numel()
    return error.abs().mean() + error.square().mean() + kl_weight * kl, error.square().mean()


def main() -> None:
    """Train, resuming from the last checkpoint."""
    parser = training.parser(__doc__, steps=1800, batch=8, lr=2e-3, out="vae.pt")
    parser.add_argument("--kl", type=float, default=1e-5, help="weight of the KL divergence")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    vae = build().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(vae.parameters(), lr=args.lr, betas=(0.9, 0.99))

    def loss_at(step: int) -> training.Loss:
        side = side_at(step / args.steps)
        x = batch(step, args.batch // 2 if side == scenes.SIDE else args.batch, side)
        loss, mse = loss_of(vae, x.to(memory_format=torch.channels_last), args.kl)
        return loss, {"psnr": training.psnr(mse)}

    training.train(args, loss_at, optimiser, training.linear(args, power=0.7), vae=vae)


if __name__ == "__main__":
    main()
