"""Train the LoRA with which Shapes needs four steps, or eight, at CFG 1.

    python -m tools.shapes.train_turbo --bf16

The steps are those of the sampler `lcm`: the model's estimate of the image, and then all of the
noise of the next level anew. Learned is that noised estimates look like noised scenes of the same
captions at each of these levels (Denoising Diffusion GANs, Xiao et al. 2021, arXiv:2112.07804), to
a critic that learns beside. The estimates are those of the model's own runs, which go on from step
to step, so that it learns from where its own errors lead it. Scenes can be drawn, so no teacher is
sampled. The text encoder stays as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from tools import diffusers_host
from tools.diffusers_host import LEVELS
from tools.shapes import lora, text, train_diffusion, training
from tools.shapes.critic import Critic
from tools.shapes.latents import WINDOW, Latents, batch_of, generator_of

LEVELS_OF_EIGHT = LEVELS.sgm_uniform(8)  # every second one is a level of four steps
# Share of runs of four steps; the others have eight.
FOUR = 2 / 3
# Finished estimates are judged at noise levels in this range: without noise the U-Net sees little.
LEAST, MOST = 0.25, 0.6
# Steps in which the critic learns alone, and scenes that are new at every step.
ALONE, FRESH = 30, 3


class Runs(nn.Module):
    """Sampling runs that go on: each row's estimate, its caption, and the step that is next.

    Rows start as scenes in the middle of a run, so that all levels are seen from the first step on.
    """

    def __init__(self, x0: Tensor, ids: Tensor) -> None:
        super().__init__()
        rows = torch.arange(len(x0))
        stride = 1 + (rows < FOUR * len(rows)).long()
        self.register_buffer("x0", x0.clone())
        self.register_buffer("ids", ids.clone())
        self.register_buffer("stride", stride)
        self.register_buffer("step", rows % (8 // stride) * stride)

    def noised(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Latents that the model is given next (B, 4, 16, 16), and their noise levels (B,)."""
        sigma = LEVELS_OF_EIGHT[self.step]
        scale = sigma.view(-1, 1, 1, 1)
        noise = torch.randn(self.x0.shape, generator=generator)
        first = (self.step == 0).view(-1, 1, 1, 1)
        pure = (1 + scale.square()).sqrt() * noise
        return torch.where(first, pure, self.x0 + scale * noise), sigma

    def judged_at(self, generator: torch.Generator) -> Tensor:
        """Noise levels at which the next estimates are judged: those they go on from (B,)."""
        following = LEVELS_OF_EIGHT[self.step + self.stride]
        some = LEAST + (MOST - LEAST) * torch.rand(len(following), generator=generator)
        return torch.where(following == 0, some, following)

    def advance(self, x0: Tensor, ids: Tensor) -> None:
        """Go on from estimates x0; finished rows begin anew with captions of `ids`."""
        self.x0.copy_(x0)
        self.step += self.stride
        done = self.step == 8
        self.step[done] = 0
        self.ids[done] = ids[done]


def losses(critic: Critic, fake: list[Tensor], real: list[Tensor], wrong: list[Tensor]) -> Tensor:
    """What model and critic minimise together; neither learns from the other's part.

    Arguments:
        critic: judges.
        fake: features of noised estimates, with a graph to the model where that learns.
        real: features of noised scenes under their captions.
        wrong: features of noised scenes under captions of others.
    """
    cut = [one.detach() for one in fake]
    told = softplus(critic(cut)).mean() + softplus(-critic(real)).mean()
    told = told + 0.5 * softplus(critic(wrong)).mean()
    if not fake[0].requires_grad:
        return told
    fixed = {name: value.detach() for name, value in critic.named_parameters()}
    return told + softplus(-functional_call(critic, fixed, (fake,))).mean()


def others(ids: Tensor) -> Tensor:
    """Rows of captions that are not those of the scenes: of two rows that differ, each other's.

    An empty caption is true of any scene, so that no scene is judged wrong under it.
    """
    empty = (ids == text.tokens([""])).all(1)
    turned = ids.roll(1, 0)
    false = ~empty.roll(1, 0) & (turned != ids).any(1)
    return false.nonzero().squeeze(1)


class Turbo:
    """The loss of a step: estimates, scenes, and what the critic says of both."""

    def __init__(
        self, shapes: diffusers_host.Shapes, critic: Critic, seed: int, batch: int
    ) -> None:
        self.shapes, self.critic, self.seed = shapes, critic, seed
        self.window = Latents(shapes.vae, seed)
        self.window.upto(WINDOW)
        x0, _, ids = batch_of(self.window, batch, generator_of(seed, 29_999_999))
        self.runs = Runs(x0, ids)

    def estimate(self, x: Tensor, sigma: Tensor, states: Tensor) -> Tensor:
        """The model's x0 of noisy latents."""
        scale = sigma.view(-1, 1, 1, 1)
        inputs = x / (scale.square() + 1).sqrt()
        eps = self.shapes.unet(inputs, LEVELS.timestep(sigma), states).sample
        return x - scale * eps.float()

    def loss_at(self, step: int) -> training.Loss:
        """The loss of a step, and how far the critic parts estimates from scenes."""
        generator = generator_of(self.seed, 30_000_000 + step)
        self.window.upto(WINDOW + step * FRESH)
        real, _, ids = batch_of(self.window, len(self.runs.x0), generator)
        x, sigma = self.runs.noised(generator)
        level = self.runs.judged_at(generator)
        noise = lambda: level.view(-1, 1, 1, 1) * torch.randn(x.shape, generator=generator)
        states, own = self._states(self.runs.ids), self._states(ids)
        with torch.set_grad_enabled(step >= ALONE):
            x0 = self.estimate(x, sigma, states)
            fake = self.critic.features(x0 + noise(), level, states)
        with torch.no_grad():
            scenes, rows = real + noise(), others(ids)
            seen = self.critic.features(scenes, level, own)
            wrong = self.critic.features(scenes[rows], level[rows], own.roll(1, 0)[rows])
        loss = losses(self.critic, fake, seen, wrong)
        self.runs.advance(x0.detach(), batch_of(self.window, len(x0), generator)[2])
        return loss, self._figures(fake, seen)

    def _states(self, ids: Tensor) -> Tensor:
        with torch.no_grad():
            return self.shapes.text_encoder(ids).last_hidden_state

    @torch.no_grad()
    def _figures(self, fake: list[Tensor], real: list[Tensor]) -> dict[str, Tensor]:
        return {"fake": self.critic(fake).mean(), "real": self.critic(real).mean()}


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = train_diffusion.parser(__doc__, steps=280, lr=7e-4, out=str(diffusers_host.TURBO))
    parser.set_defaults(batch=16)
    parser.add_argument("--checkpoint", type=Path, default=Path("out/shapes/turbo.pt"))
    return parser.parse_args()


def main() -> None:
    """Train, resuming from the last checkpoint, and write the file."""
    args = arguments()
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    shapes = diffusers_host.load(device=args.device)
    critic = Critic(diffusers_host.load(device=args.device).unet)
    added = lora.adapted(shapes.unet)
    turbo = Turbo(shapes, critic, args.seed, args.batch)

    def loss_at(step: int) -> training.Loss:
        with torch.autocast(args.device, torch.bfloat16, enabled=args.bf16):
            return turbo.loss_at(step)

    learning = [*added.parameters(), *critic.parameters()]
    optimiser = torch.optim.AdamW(learning, lr=args.lr, betas=(0.0, 0.99), weight_decay=0.0)
    rate = lambda step: args.lr * train_diffusion.rate(step, args.steps)
    parts = {"added": added, "critic": critic, "runs": turbo.runs}
    training.train(args, loss_at, optimiser, rate, every=25, path=args.checkpoint, **parts)
    lora.write(added, args.out)


if __name__ == "__main__":
    main()
