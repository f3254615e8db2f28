"""What trainings of the U-Net see: latents of scenes, what they stray to, captions.

Latents are encoded as the training goes, from a window of scenes that moves on with every step, so
that a run resumes exactly and never sees a fixed data set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from guidance_core.shapes import scenes
from tools.shapes import text

# Scenes in the window, and how many of them are new at every step.
WINDOW, FRESH = 2048, 3
# Share of captions left empty (for CFG), without sizes, and without colours.
EMPTY, NO_SIZE, NO_COLOUR = 0.2, 0.12, 0.06
# Share of inputs that have strayed towards another scene, and how far at most.
ASTRAY, FARTHEST = 0.5, 0.45


def generator_of(seed: int, index: int) -> torch.Generator:
    """Randomness of one scene or one step: runs of other seeds share none of it."""
    return torch.Generator().manual_seed(seed * 100_000_000 + index)


class Latents:
    """The moving window of scenes: latents of scene i at row i modulo WINDOW.

    Beside them `others`, the latents of what each may be confused with, unless nobody asks.

    Arguments:
        vae: encodes.
        seed: of the scenes.
        drawn: draws a scene.
        other: draws what a scene may be confused with; None where nobody asks.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        seed: int,
        drawn: Callable[[torch.Generator], scenes.Scene] = scenes.random_scene,
        other: Callable[[scenes.Scene, torch.Generator], scenes.Scene] | None = None,
    ) -> None:
        self.vae, self.seed, self.end, self.drawn, self.other = vae, seed, 0, drawn, other
        self.latents = torch.zeros(WINDOW, 4, 16, 16)
        self.others = torch.zeros(WINDOW, 4, 16, 16)
        self.scenes: list[scenes.Scene | None] = [None] * WINDOW

    def upto(self, end: int) -> None:
        """Encode what is missing of the scenes [end - WINDOW, end)."""
        for first in range(max(self.end, end - WINDOW), end, 32):
            indices = range(first, min(first + 32, end))
            drawn = [self.drawn(generator_of(self.seed, 20_000_000 + i)) for i in indices]
            for i, scene, latent in zip(indices, drawn, self._encoded(drawn), strict=True):
                self.latents[i % WINDOW], self.scenes[i % WINDOW] = latent, scene
            if self.other is not None:
                seeded = zip(indices, drawn, strict=True)
                others = [self.other(s, generator_of(self.seed, 40_000_000 + i)) for i, s in seeded]
                self.others[[i % WINDOW for i in indices]] = self._encoded(others)
        self.end = end

    @torch.no_grad()
    def _encoded(self, drawn: list[scenes.Scene]) -> Tensor:
        images = scenes.render(drawn).to(self.vae.device) * 2 - 1
        return self.vae.encode(images).latent_dist.mean.cpu()


def astray(scene: scenes.Scene, generator: torch.Generator) -> scenes.Scene:
    """What a sampler may confuse the scene with: other colours, an object more, or one fewer."""
    kind = int(torch.randint(0, len(scene.items) + 1, (), generator=generator))
    if kind == 0:
        return recoloured(scene, generator)
    return joined(scene, generator) if kind == 1 else scenes.Scene(scene.items[:1])


def recoloured(scene: scenes.Scene, generator: torch.Generator) -> scenes.Scene:
    """The scene with every object in a colour drawn again."""
    colours = tuple(scenes.PALETTE)
    drawn = torch.randint(0, len(colours), (len(scene.items),), generator=generator).tolist()
    items = (replace(i, colour=colours[c]) for i, c in zip(scene.items, drawn, strict=True))
    return scenes.Scene(tuple(items))


def joined(scene: scenes.Scene, generator: torch.Generator) -> scenes.Scene:
    """The scene with one more object, which touches none."""
    while True:
        (item,) = scenes.random_scene(generator, 1).items
        if all(scenes.apart(item, there) for there in scene.items):
            return scenes.Scene((*scene.items, item))


def caption(scene: scenes.Scene, chance: float) -> str:
    """A caption of the scene; `chance` in [0, 1) decides what it leaves out."""
    if chance < EMPTY:
        return ""
    if chance < EMPTY + NO_SIZE:
        return scene.caption(("colour", "shape"))
    if chance < EMPTY + NO_SIZE + NO_COLOUR:
        return scene.caption(("size", "shape"))
    return scene.caption()


def batch_of(
    latents: Latents,
    size: int,
    generator: torch.Generator,
    caption_of: Callable[[scenes.Scene, float], str] = caption,
) -> tuple[Tensor, Tensor, Tensor]:
    """Latents (size, 4, 16, 16) from the window, how far they stray, ids of their captions.

    `caption_of` captions a scene; the number in [0, 1) decides what it leaves out.
    """
    rows = torch.randint(0, WINDOW, (size,), generator=generator)
    chances = torch.rand(size, generator=generator)
    captions = [
        caption_of(latents.scenes[row], float(chance))
        for row, chance in zip(rows.tolist(), chances, strict=True)
    ]
    x0 = latents.latents[rows]
    chosen, far = torch.rand(2, size, 1, 1, 1, generator=generator)
    drift = (chosen < ASTRAY) * FARTHEST * far * (latents.others[rows] - x0)
    return x0, drift, text.tokens(captions)
