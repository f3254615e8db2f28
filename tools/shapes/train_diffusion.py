"""Train the text encoder and the U-Net of Shapes together.

    python -m tools.shapes.train_diffusion --steps 4500

What they see is `tools.shapes.latents`; other trainings of the U-Net learn by `learn` too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from guidance_core.procedures import checkpoints
from guidance_core.shapes import scenes
from tools.shapes import train_vae, training
from tools.shapes.latents import (
    FRESH,
    WINDOW,
    Latents,
    astray,
    batch_of,
    caption,
    generator_of,
)

# Noise level from which on inputs stray: below it the target, which grows with 1 / sigma, would
# drown all others.
STRAY_SIGMA = 0.15
# Min-SNR-gamma weights, Hang et al. 2023, arXiv:2303.09556.
GAMMA = 5.0
# Weight of high noise, where the colours are settled: up to this much of an x0 loss's 1 + 1 / SNR.
HIGH = 3.0


class Shapes(nn.Module):
    """Text encoder and U-Net as one module: (latents, timesteps, token ids) -> eps."""

    def __init__(self) -> None:
        super().__init__()
        self.text_encoder = CLIPTextModel(
            CLIPTextConfig(
                hidden_size=64,
                intermediate_size=256,
                projection_dim=64,
                num_hidden_layers=3,
                num_attention_heads=2,
            )
        )
        self.unet = UNet2DConditionModel(
            sample_size=16,
            in_channels=4,
            out_channels=4,
            block_out_channels=(64, 128),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D",) * 2,
            up_block_types=("CrossAttnUpBlock2D",) * 2,
            cross_attention_dim=64,
            # Heads, in spite of the name (diffusers issue 2011): 32 channels each.
            attention_head_dim=(2, 4),
            # Eight groups: with 32 a group would be two channels, all but an instance norm.
            norm_num_groups=8,
        )
        # Wide enough at the start for words to differ (CLIP's 0.02 suits its width of 768).
        nn.init.normal_(self.text_encoder.get_input_embeddings().weight, std=0.3)

    def forward(self, x: Tensor, timesteps: Tensor, ids: Tensor) -> Tensor:
        """Noise in `x` (B, 4, 16, 16), as the model sees it."""
        context = self.text_encoder(ids).last_hidden_state
        return self.unet(x, timesteps, context).sample


def warm(model: Shapes, folder: Path) -> None:
    """Start from exported weights instead of from nothing."""
    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    text = CLIPTextModel.from_pretrained(folder / "text_encoder")
    model.unet.load_state_dict(unet.state_dict())
    model.text_encoder.load_state_dict(text.state_dict())


def load_vae(path: Path) -> AutoencoderKL:
    """The trained VAE, frozen, with latents of zero mean and unit variance in every channel."""
    if not path.exists():
        raise FileNotFoundError(f"expected the trained VAE at {path}: run tools.shapes.train_vae")
    vae = train_vae.build()
    checkpoints.resume(path, vae=vae)
    return standardised(vae.eval().requires_grad_(False))


@torch.no_grad()
def standardised(vae: AutoencoderKL) -> AutoencoderKL:
    """Fold mean and deviation of each latent channel into the 1x1 convolutions around it."""
    drawn = [scenes.random_scene(torch.Generator().manual_seed(i)) for i in range(128)]
    latents = torch.cat(
        [vae.encode(p * 2 - 1).latent_dist.mean for p in scenes.render(drawn).split(32)]
    )
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    before, after = vae.quant_conv, vae.post_quant_conv
    after.bias += after.weight[:, :, 0, 0] @ mean
    after.weight *= std.view(1, -1, 1, 1)
    before.bias[:4] = (before.bias[:4] - mean) / std
    before.weight[:4] /= std.view(-1, 1, 1, 1)
    before.bias[4:] -= 2 * std.log()
    return vae


def loss_of(
    model: Callable[..., Tensor],
    x0: Tensor,
    drift: Tensor,
    ids: Tensor,
    alphas: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Eps prediction, weighted over the noise levels: scalar.

    The input is x0 + `drift`, noised, and the answer asked for is x0 all the same: a sampler strays
    from the scenes, half-way between two colours above all, where noised scenes alone teach nothing
    (exposure bias; Ning et al. 2023, arXiv:2301.11706, perturb by white noise instead). Drift of
    colours alone would teach that whatever is faint is an object, and captions would be miscounted.
    """
    t = torch.randint(0, len(alphas), (len(x0),), generator=generator).to(x0.device)
    noise = torch.randn(x0.shape, generator=generator).to(x0.device)
    alpha = alphas[t].view(-1, 1, 1, 1)
    snr = alphas[t] / (1 - alphas[t])
    noise = noise + snr.sqrt().view(-1, 1, 1, 1) * drift * (snr < STRAY_SIGMA**-2).view(-1, 1, 1, 1)
    eps = model(alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise, t, ids)
    weight = (GAMMA / snr).clamp(max=1) * (1 + 1 / snr).clamp(max=HIGH)
    return (weight * (eps.float() - noise).square().flatten(1).mean(1)).mean()


def rate(step: int, total: int) -> float:
    """Learning rate as a fraction of the peak: warm-up, then down to zero in a straight line.

    The way down stands in for an average of the weights, which lags behind in a short training.
    """
    return min(1.0, (step + 1) / 100, 1.25 * (1 - step / total))


def parser(about: str, steps: int, lr: float, out: str) -> argparse.ArgumentParser:
    """Options of every training of the U-Net, with its own defaults."""
    parser = training.parser(about, steps=steps, batch=32, lr=lr, out=out)
    parser.add_argument("--seed", type=int, default=0, help="another one for a second training")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true", help="autocast; a fifth faster on Zen 4")
    return parser


def learn(
    args: argparse.Namespace,
    network: Callable[..., Tensor],
    latents: Latents,
    caption_of: Callable[[scenes.Scene, float], str] = caption,
    path: Path | None = None,
    **parts: nn.Module,
) -> None:
    """Train, resuming from the last checkpoint.

    Arguments:
        args: of `parser`.
        network: (latents, timesteps, token ids) -> eps.
        latents: the scenes.
        caption_of: captions a scene.
        path: of the checkpoint, in place of `args.out`.
        parts: what learns, by its name in the checkpoint.
    """
    parameters = [parameter for part in parts.values() for parameter in part.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01)
    alphas = DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    ).alphas_cumprod.to(args.device)

    def loss_at(step: int) -> training.Loss:
        generator = generator_of(args.seed, 30_000_000 + step)
        latents.upto(WINDOW + step * FRESH)
        batch = batch_of(latents, args.batch, generator, caption_of)
        batch = [part.to(args.device) for part in batch]
        with torch.autocast(torch.device(args.device).type, torch.bfloat16, enabled=args.bf16):
            return loss_of(network, *batch, alphas, generator), {}

    lr = lambda step: args.lr * rate(step, args.steps)
    training.train(args, loss_at, optimiser, lr, every=100, path=path, **parts)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    asked = parser(__doc__, steps=6000, lr=1e-3, out="diffusion.pt")
    asked.add_argument("--vae", type=Path, default=Path("out/shapes/vae.pt"))
    asked.add_argument(
        "--init", type=Path, help="exported weights to continue from, without a checkpoint"
    )
    return asked.parse_args()


def main() -> None:
    """Train, resuming from the last checkpoint."""
    args = arguments()
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    model = Shapes().to(args.device, memory_format=torch.channels_last)
    if args.init is not None:
        warm(model, args.init)
    # An exported VAE is standardised already.
    exported = args.init and AutoencoderKL.from_pretrained(args.init / "vae").eval()
    vae = (exported or load_vae(args.vae)).to(args.device)
    learn(args, model, Latents(vae, args.seed, other=astray), model=model)


if __name__ == "__main__":
    main()
