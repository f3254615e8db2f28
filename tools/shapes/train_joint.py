"""Train Shapes of joint attention: a flow transformer, built like FLUX, taught by the U-Net.

    python -m tools.shapes.teach_joint & python -m tools.shapes.train_joint
    python -m tools.shapes.teach_joint --shards 64 --pupil out/shapes/joint.pt
    python -m tools.shapes.train_joint --steps 9600

The first training waits for the lessons of its own runs, which the second line writes; the last
line goes on after its end, with the learning rate up again. It learns from the lessons of
`tools.shapes.teach_joint`; at low noise from drawn scenes, whose estimates the U-Net could hardly
miss. Text encoder and VAE are those of Shapes, as they are.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from tools import diffusers_host
from tools.shapes import teach_joint, training
from tools.shapes.joint import TEXT, Joint
from tools.shapes.latents import WINDOW, Latents, astray, batch_of, caption, generator_of
from tools.shapes.train_diffusion import rate

# Share of a batch from drawn scenes, and their highest t: they and the lessons overlap.
DRAWN, HIGHEST = 0.4, 0.5
LEAST = 0.03
# From which t on scenes stray: below it the target, which grows with 1 / t, would drown all others.
STRAY = 0.25
# Latents of Shapes are within 5.9; the U-Net's first estimates, at CFG 4, may be far out.
LIMIT = 6.0
# Steps after which another shard is waited for.
PER_SHARD = 90


class Lessons:
    """Shards that are there, as one table that grows; what is missing is waited for."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most, self.shards = folder, most, []

    def upto(self, count: int) -> None:
        """Have `count` shards, or all."""
        while len(self.shards) < min(count, self.most):
            path = teach_joint.path_of(self.folder, len(self.shards))
            while not path.exists():
                time.sleep(1)
            self.shards.append(load_file(path))

    def batch(self, size: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Lessons drawn from all shards."""
        each = len(self.shards[0]["t"])
        picks = torch.randint(0, each * len(self.shards), (size,), generator=generator).tolist()
        rows = [{k: v[i % each] for k, v in self.shards[i // each].items()} for i in picks]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def drawn(latents: Latents, size: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Lessons of low noise from scenes, some of which have strayed: x, t, x0, ids."""
    x0, drift, ids = batch_of(latents, size, generator, caption)
    t = HIGHEST * torch.rand(size, generator=generator)
    share = t.view(-1, 1, 1, 1)
    drift = drift * (share > STRAY)
    x = (1 - share) * (x0 + drift) + share * torch.randn(x0.shape, generator=generator)
    return {"x": x, "t": t, "x0": x0, "ids": ids}


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    asked = training.parser(__doc__, steps=5600, batch=32, lr=2e-3, out="joint.pt")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--lessons", type=Path, default=teach_joint.LESSONS)
    asked.add_argument("--shards", type=int, default=64)
    return asked.parse_args()


def main() -> None:
    """Train, resuming from the last checkpoint."""
    args = arguments()
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    shapes, model = diffusers_host.load(device="cpu"), Joint()
    latents, lessons = Latents(shapes.vae, 7, other=astray), Lessons(args.lessons, args.shards)

    def loss_at(step: int) -> training.Loss:
        generator = generator_of(args.seed, 50_000_000 + step)
        latents.upto(WINDOW + step // 2)
        lessons.upto(1 + step // PER_SHARD)
        own = round(DRAWN * args.batch)
        parts = (lessons.batch(args.batch - own, generator), drawn(latents, own, generator))
        x, t, x0, ids = (torch.cat([part[k] for part in parts]) for k in ("x", "t", "x0", "ids"))
        with torch.no_grad():
            states = shapes.text_encoder(ids[:, :TEXT]).last_hidden_state
        x0, scale = x0.clamp(-LIMIT, LIMIT), t.clamp_min(LEAST).view(-1, 1, 1, 1)
        error = (model(x, t, states) - (x - x0) / scale).square().flatten(1).mean(1)
        taught, own = error.tensor_split([args.batch - own])
        return error.mean(), {"taught": taught.mean(), "drawn": own.mean()}

    optimiser = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.98))
    lr = lambda step: args.lr * rate(step, args.steps)
    training.train(args, loss_at, optimiser, lr, model=model)


if __name__ == "__main__":
    main()
