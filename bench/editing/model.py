"""Shapes in diffusers, read inside: a denoiser that fills an estimate's captures.

Layers have the names that they have in ComfyUI, so that settings are those of the nodes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from guidance_core.attention.maps import attention_maps, heads_of
from guidance_core.captures import Capture, Features, chosen_layers
from guidance_core.compose import any_active, guided, with_noise_levels
from guidance_core.procedures.recurrence import recurrent
from guidance_core.requirements import requirements_of
from guidance_core.types import Denoiser, Estimate, Rule, Run
from tools.demo import diffusers_host

LEVELS = diffusers_host.NoiseLevels()
# What "default" means to nodes/host/layouts.py, which needs ComfyUI: Stable Diffusion 1, Shapes.
DEFAULTS = (
    ("input.7.0", "input.8.0", "output.3.0", "output.4.0", "output.5.0"),
    ("output.2.0",),
)
FEATURES = ("output.2", "output.3")


def layers(unet: UNet2DConditionModel) -> dict[str, nn.Module]:
    """Transformers of the U-Net by the names of ComfyUI's blocks, in the order they run."""
    span = unet.config.layers_per_block + 1  # blocks of a level, with the one that scales
    found: dict[str, nn.Module] = {}
    for i, block in enumerate(unet.down_blocks):
        for j, attention in enumerate(getattr(block, "attentions", ())):
            found[f"input.{1 + i * span + j}"] = attention
    found["middle.0"] = unet.mid_block.attentions[0]
    for i, block in enumerate(unet.up_blocks):
        for j, attention in enumerate(getattr(block, "attentions", ())):
            found[f"output.{i * span + j}"] = attention
    return found


class Reader:
    """Reads requests while the U-Net runs on one branch."""

    def __init__(self, unet: UNet2DConditionModel, requests: Iterable[Capture]) -> None:
        self.modules = layers(unet)
        self.requests = tuple(requests)
        self._found: dict[tuple[Capture, str], Tensor] = {}

    def names(self, request: Capture) -> tuple[str, ...]:
        """Layers that a request means."""
        there = tuple(self.modules)
        if isinstance(request, Features):
            return chosen_layers(request.layers, FEATURES, there)
        deep = tuple(f"{name}.0" for name in there)
        default = next(known for known in DEFAULTS if set(known) <= set(deep))
        return chosen_layers(request.layers, default, deep)

    @property
    def values(self) -> dict[Capture, tuple[Tensor, ...]]:
        """What was read at the last evaluation."""
        layers_of = lambda request: (self._found[request, name] for name in self.names(request))
        return {request: tuple(layers_of(request)) for request in self.requests}

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Read inside."""
        with contextlib.ExitStack() as stack:
            for request in self.requests:
                for name in self.names(request):
                    for handle in self._hooks(request, name):
                        stack.callback(handle.remove)
            yield

    def _hooks(self, request: Capture, name: str) -> Iterator[Any]:
        if isinstance(request, Features):
            keep = lambda module, args, out: self._found.update({(request, name): out[0]})
            yield self.modules[name].register_forward_hook(keep)
            return
        transformer = self.modules[name.removesuffix(".0")]
        attention = transformer.transformer_blocks[0].attn2
        queries: list[Tensor] = []
        sides: list[torch.Size] = []

        def on_keys(module: nn.Module, args: Any, keys: Tensor) -> None:
            q = queries.pop()
            positions = request.positions or tuple(range(keys.shape[1]))
            flat = attention_maps(
                heads_of(q, attention.heads), heads_of(keys, attention.heads), positions
            )
            self._found[request, name] = flat.unflatten(2, sides.pop())

        yield transformer.register_forward_pre_hook(
            lambda module, args: sides.append(args[0].shape[-2:])
        )
        yield attention.to_q.register_forward_hook(lambda module, args, out: queries.append(out))
        yield attention.to_k.register_forward_hook(on_keys)


def denoiser(
    model: diffusers_host.Shapes,
    positive: Tensor,
    negative: Tensor,
    cfg: float,
    rules: Sequence[Rule] = (),
) -> Denoiser:
    """One evaluation with classifier-free guidance, read for those rules that are at work.

    Arguments:
        model: Shapes.
        positive: text states of each sample, shape (B or 1, 77, 64).
        negative: text states, shape (1, 77, 64).
        cfg: scale of classifier-free guidance.
        rules: with resolved schedules.
    """

    def branch(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        scale = sigma.view(-1, 1, 1, 1)
        context = context.expand(x.shape[0], -1, -1)
        inputs = x / (scale.square() + 1).sqrt()
        return x - scale * model.unet(inputs, LEVELS.timestep(sigma), context).sample

    def denoise(x: Tensor, sigma: Tensor) -> Estimate:
        working = [rule for rule in rules if any_active([rule], float(sigma[0]))]
        reader = Reader(model.unet, requirements_of(working).captures)
        with reader.reading():
            cond = branch(x, sigma, positive)
        parts = {"decode": model.decode, "captures": reader.values, "cond": cond}
        if cfg == 1:
            return Estimate(cond, sigma, **parts)
        with torch.no_grad():
            uncond = branch(x, sigma, negative)
        return Estimate(uncond + cfg * (cond - uncond), sigma, **parts, uncond=uncond)

    return denoise


def sample(
    model: diffusers_host.Shapes,
    rules: Sequence[Rule],
    noise: Tensor,
    sigmas: Tensor,
    positive: Tensor,
    cfg: float,
    *,
    recurrences: int = 1,
    end_percent: float = 1.0,
    seed: int = 0,
) -> Tensor:
    """Latents of the size of `noise` in the U-Net's units, by Euler's steps from it.

    Arguments:
        model: Shapes.
        rules: what steers.
        noise: x at the first noise level.
        sigmas: noise levels, shape (N,), falling.
        positive: text states of each sample, shape (B or 1, 77, 64).
        cfg: scale of classifier-free guidance.
        recurrences: how often each step is taken, up to `end_percent`.
        end_percent: where recurrence ends.
        seed: of the noise of recurrence.
    """
    run = Run(alpha=torch.ones_like, sigmas=sigmas, seed=seed)
    own = [with_noise_levels(rule, LEVELS.at_percent) for rule in rules]
    plain = denoiser(model, positive, model.encode([""]), cfg, own)
    steered = guided(own, plain, run)

    def denoise(x: Tensor, sigma: Tensor) -> Estimate:
        return (steered if any_active(own, float(sigma[0])) else plain)(x, sigma)

    end = LEVELS.at_percent(end_percent)
    sampler = recurrent(
        diffusers_host.euler, recurrences, run.alpha, run.noise, active=lambda sigma: sigma > end
    )
    with torch.no_grad():
        return sampler(denoise, noise, sigmas)
