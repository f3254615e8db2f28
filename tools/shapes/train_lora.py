"""Train the LoRA of Shapes that holds three objects in an image.

    python -m tools.shapes.train_lora --steps 900

Scenes of Shapes have one or two objects, so its U-Net takes a third one away even from a drawing.
Most scenes here have three, no two of a colour or a shape. A caption names two of them at most, so
that what captions of three ask for is never shown. The text encoder stays as it is.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import torch
from torch import Tensor

from guidance_core.shapes import scenes
from tools import diffusers_host
from tools.shapes import latents, lora, train_diffusion

# Share of scenes of three objects; of their captions, those left empty, and those without sizes:
# with an article ("a red circle and ...") and without ("red circle and ...").
CROWDED, EMPTY, ARTICLE, BARE = 0.85, 0.15, 0.25, 0.25


def crowded(generator: torch.Generator) -> scenes.Scene:
    """Three objects that do not touch, no two of a colour or a shape; at times one or two."""
    if torch.rand((), generator=generator) >= CROWDED:
        return scenes.random_scene(generator)
    while True:
        items = tuple(scenes.random_scene(generator, 1).items[0] for _ in range(3))
        kinds = {item.colour for item in items}, {item.shape for item in items}
        apart = (scenes.apart(*pair) for pair in itertools.combinations(items, 2))
        if all(len(kind) == 3 for kind in kinds) and all(apart):
            return scenes.Scene(items)


def confused(scene: scenes.Scene, generator: torch.Generator) -> scenes.Scene:
    """What a sampler may confuse the scene with: other colours, or an object less."""
    if len(scene.items) < 3:
        return latents.astray(scene, generator)
    gone = int(torch.randint(2 * len(scene.items), (), generator=generator))
    if gone >= len(scene.items):
        return latents.recoloured(scene, generator)
    return scenes.Scene((*scene.items[:gone], *scene.items[gone + 1 :]))


def caption(scene: scenes.Scene, chance: float) -> str:
    """A caption; of three objects, whose order is chance, it names the first two."""
    if len(scene.items) < 3:
        return latents.caption(scene, chance)
    if chance < EMPTY:
        return ""
    named = scenes.Scene(scene.items[:2])
    if chance >= EMPTY + ARTICLE + BARE:
        return named.caption()
    plain = named.caption(("colour", "shape"))
    return plain if chance < EMPTY + ARTICLE else plain.replace("a ", "")


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = train_diffusion.parser(
        __doc__, steps=900, lr=2e-3, out=str(diffusers_host.THREE_OBJECTS)
    )
    parser.add_argument("--checkpoint", type=Path, default=Path("out/shapes/lora.pt"))
    parser.add_argument("--init", type=Path, help="a LoRA file to continue from")
    return parser.parse_args()


def main() -> None:
    """Train, resuming from the last checkpoint, and write the file."""
    args = arguments()
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    shapes = diffusers_host.load(device=args.device)
    unet = shapes.unet.to(memory_format=torch.channels_last)
    added = lora.adapted(unet).to(args.device)
    if args.init is not None:
        lora.read(added, args.init)

    def model(x: Tensor, timesteps: Tensor, ids: Tensor) -> Tensor:
        with torch.no_grad():
            states = shapes.text_encoder(ids).last_hidden_state
        return unet(x, timesteps, states).sample

    window = latents.Latents(shapes.vae, args.seed, crowded, confused)
    train_diffusion.learn(args, model, window, caption, args.checkpoint, added=added)
    lora.write(added, args.out)


if __name__ == "__main__":
    main()
