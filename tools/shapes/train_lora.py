"""Train the LoRA of Shapes that holds three objects in a picture.

    python -m tools.shapes.train_lora --steps 900

Scenes of Shapes have one or two objects, so its U-Net takes a third one away even from a drawing.
Most scenes here have three, no two of a colour or a shape. A caption names two of them at most, so
that what captions of three ask for is never shown. The text encoder stays as it is.
"""

from __future__ import annotations

import argparse
import itertools
import math
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from guidance_core.shapes import scenes
from tools.demo import diffusers_host
from tools.shapes import checkpoints, train_diffusion
from tools.shapes.train_diffusion import WINDOW, Latents, batch_of, generator_of, loss_of

RANK = 16
# Share of scenes of three objects; of their captions, those left empty, and those without sizes:
# with an article ("a red circle and ...") and without ("red circle and ...").
CROWDED, EMPTY, ARTICLE, BARE = 0.85, 0.15, 0.25, 0.25
# Scenes that are new at every step.
FRESH = 3
# Left as they are: the first and last layer, and what reads the time.
SPARED = ("conv_in", "conv_out", "time_emb")


class LowRank(nn.Module):
    """A weight and what is added to it: up @ down, of rank RANK at most; at first nothing."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        rank = min(RANK, rows, columns)
        self.down = nn.Parameter(torch.randn(rank, columns) / math.sqrt(columns))
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The changed weight."""
        return weight + (self.up @ self.down).view_as(weight)


def adapted(unet: UNet2DConditionModel) -> nn.ModuleDict:
    """Give the U-Net's layers something of low rank to learn; by names as LoRA files have them."""
    added = {}
    for name, layer in list(unet.named_modules()):
        spared = any(part in name for part in SPARED)
        if isinstance(layer, nn.Linear | nn.Conv2d) and not spared:
            parametrize.register_parametrization(layer, "weight", LowRank(layer.weight))
            added["lora_unet_" + name.replace(".", "_")] = layer.parametrizations.weight[0]
    return nn.ModuleDict(added)


def crowded(generator: torch.Generator) -> scenes.Scene:
    """Three objects that do not touch, no two of a colour or a shape; at times one or two."""
    if torch.rand((), generator=generator) >= CROWDED:
        return scenes.random_scene(generator)
    colours = tuple(scenes.PALETTE)
    while True:
        drawn = [scenes.random_scene(generator, 1).items[0] for _ in scenes.SHAPES]
        order = torch.randperm(len(colours), generator=generator).tolist()
        shapes = torch.randperm(len(scenes.SHAPES), generator=generator).tolist()
        items = tuple(
            replace(item, colour=colours[c], shape=scenes.SHAPES[s])
            for item, c, s in zip(drawn, order, shapes, strict=False)
        )
        if all(scenes.apart(*pair) and whole(pair) for pair in itertools.combinations(items, 2)):
            return scenes.Scene(items)


def whole(items: tuple[scenes.Item, ...]) -> bool:
    """Whether objects lie inside the picture, as in every scene."""
    edges = [edge for item in items for edge in item.box]
    return min(edges) >= scenes.MARGIN and max(edges) <= scenes.SIDE - scenes.MARGIN


def confused(scene: scenes.Scene, generator: torch.Generator) -> scenes.Scene:
    """What a sampler may confuse the scene with: other colours, or an object less."""
    if len(scene.items) < 3:
        return train_diffusion.astray(scene, generator)
    gone = int(torch.randint(2 * len(scene.items), (), generator=generator))
    if gone >= len(scene.items):
        return train_diffusion.recoloured(scene, generator)
    return scenes.Scene((*scene.items[:gone], *scene.items[gone + 1 :]))


def caption(scene: scenes.Scene, chance: float) -> str:
    """A caption; of three objects, whose order is chance, it names the first two."""
    if len(scene.items) < 3:
        return train_diffusion.caption(scene, chance)
    if chance < EMPTY:
        return ""
    named = scenes.Scene(scene.items[:2])
    if chance >= EMPTY + ARTICLE + BARE:
        return named.caption()
    plain = named.caption(("colour", "shape"))
    return plain if chance < EMPTY + ARTICLE else plain.replace("a ", "")


def written(added: nn.ModuleDict, unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """What was learned, as LoRA files have it: matrices, convolutions' in the shape of theirs."""
    kernels = {
        "lora_unet_" + name.replace(".", "_"): layer.weight.shape[1:]
        for name, layer in unet.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    }
    state = {}
    for name, layer in added.items():
        rank = len(layer.down)
        state[f"{name}.lora_down.weight"] = layer.down.view(rank, *kernels[name])
        extra = (1,) * (len(kernels[name]) - 1)
        state[f"{name}.lora_up.weight"] = layer.up.view(-1, rank, *extra)
        state[f"{name}.alpha"] = torch.tensor(float(rank))
    return {key: value.detach().half().contiguous() for key, value in state.items()}


def read(added: nn.ModuleDict, path: Path) -> None:
    """Go on from a LoRA file."""
    state = load_file(path)
    with torch.no_grad():
        for name, layer in added.items():
            layer.down.copy_(state[f"{name}.lora_down.weight"].flatten(1))
            layer.up.copy_(state[f"{name}.lora_up.weight"].flatten(1))


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=9, help="another one for a second training")
    parser.add_argument("--checkpoint", type=Path, default=Path("out/shapes/lora.pt"))
    parser.add_argument("--out", type=Path, default=diffusers_host.THREE_OBJECTS)
    parser.add_argument("--init", type=Path, help="a LoRA file to go on from")
    return parser.parse_args()


def main() -> None:
    """Train, resuming from the last checkpoint, and write the file."""
    args = arguments()
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    shapes = diffusers_host.load(device="cpu")
    unet = shapes.unet.to(memory_format=torch.channels_last)
    added = adapted(unet)
    if args.init is not None:
        read(added, args.init)
    optimiser = torch.optim.AdamW(
        added.parameters(), lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01
    )
    start = checkpoints.resume(args.checkpoint, added=added, optimiser=optimiser)
    latents = Latents(shapes.vae, args.seed, crowded, confused)
    alphas = DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    ).alphas_cumprod

    def model(x: Tensor, timesteps: Tensor, ids: Tensor) -> Tensor:
        with torch.no_grad():
            states = shapes.text_encoder(ids).last_hidden_state
        return unet(x, timesteps, states).sample

    for step, bar in checkpoints.steps(start, args.steps, "lora"):
        generator = generator_of(args.seed, 30_000_000 + step)
        latents.upto(WINDOW + step * FRESH)
        batch = batch_of(latents, args.batch, generator, caption)
        for group in optimiser.param_groups:
            group["lr"] = args.lr * train_diffusion.rate(step, args.steps)
        loss = loss_of(model, *batch, alphas, generator)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(added.parameters(), 1.0)
        optimiser.step()
        bar.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
        if (step + 1) % 100 == 0 or step + 1 == args.steps:
            checkpoints.save(args.checkpoint, step + 1, added=added, optimiser=optimiser)
    save_file(written(added, unet), args.out, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
