"""Fit a fast decoder to a VAE in the host: gather estimates, fit, measure, write the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import safetensors.torch
import torch
from torch import Tensor

from ...guidance_core.networks import fast_decoder
from ...guidance_core.networks.fast_decoder import Card, FastDecoder
from ...guidance_core.procedures.decoder_fitting import (
    Fitting,
    Pairs,
    as_bytes,
    decibels,
    squared_errors,
)
from . import samplers
from .decode import decoder
from .fitted_decoder import FOLDER, name_of
from .kept import kept_in
from .latents import check_has_image

WORK = "guidance_fitting"
PARTS = {"full": 1.0, "half": 0.5, "quarter": 0.25}
TICKS = 1000  # of the progress bar, half of them for gathering
CELLS = 16 * 1024  # latent cells of a step, in 4 to 16 estimates
OFTEN = 100  # steps between two states on disk
SHOWN = 4  # estimates of the comparison


@dataclass(frozen=True, eq=False)
class Order:
    """What is fitted, and to what.

    Arguments:
        plan: model, prompts and noise levels of the runs whose estimates it is fitted to.
        sampler_name: name of a sampler.
        latent: LATENT that each run starts from: an empty one, or one of images.
        vae: the host's VAE.
        seed: of the first run; the others follow it.
        runs: how many runs; one more is for measuring.
        steps: of the fitting.
        part: a key of `PARTS`, the size of its images.
        width: see `Card`.
        blocks: see `Card`.
        name: of the file, without its end.
        key: tells what it is made by from all else.

    Raises:
        ValueError: something that has no single image, a VAE of other latents, more than a million
            weights, a name that is more than a name, or one of another kind of file.
    """

    plan: samplers.Plan
    sampler_name: str
    latent: dict[str, Any]
    vae: Any
    seed: int
    runs: int
    steps: int
    part: str
    width: int
    blocks: int
    name: str
    key: str

    def __post_init__(self) -> None:
        check_has_image(self.plan.model.model)
        self.exact()
        samples = self.latent["samples"]
        if getattr(samples, "is_nested", False) or (samples.ndim == 5 and samples.shape[2] > 1):
            raise ValueError(
                "a fast decoder is fitted to single images, got a latent of several frames: "
                "connect an empty latent of length 1"
            )
        fast_decoder.check_size(self.card(8))
        kept_in(WORK, self.name)
        if self.file.is_file() and fast_decoder.card_of(self.file) is None:
            raise ValueError(
                f"models/{FOLDER}/{self.file.name} is there and is no fast decoder: choose "
                "another name"
            )

    def exact(self) -> Any:
        """The VAE as a decoder."""
        return decoder("vae", self.vae, self.plan.model.get_model_object("latent_format"))

    def card(self, scale: int) -> Card:
        """What the decoder will be, of so many pixels for each latent cell."""
        latent_format = self.plan.model.get_model_object("latent_format")
        return Card(
            name_of(latent_format),
            latent_format.latent_channels,
            scale,
            PARTS[self.part],
            self.width,
            self.blocks,
            made_by=self.key,
        )

    @property
    def file(self) -> Path:
        """The file that is made."""
        return Path(folder_paths.get_folder_paths(FOLDER)[0]) / f"{self.name}.safetensors"

    @property
    def work(self) -> Path:
        """Folder of what is kept until it is made."""
        return kept_in(WORK, self.name) / f"{self.name}-{self.key}"


def fitted(order: Order) -> tuple[Card, Tensor]:
    """Make the file, going on where an earlier call was stopped.

    Returns what the file tells of its decoder, and an image (1, 2 H, N W, 3) of estimates that it
    was not fitted to, the VAE's above its own.
    """
    bar, card = comfy.utils.ProgressBar(TICKS), fast_decoder.card_of(order.file)
    if card is None or card.made_by != order.key:
        for number in range(order.runs + 1):
            _gather(order, number)
            bar.update_absolute(TICKS // 2 * (number + 1) // (order.runs + 1))
        with torch.inference_mode(False):
            card = _made(order, bar.update_absolute)
    _gather(order, order.runs)
    with torch.inference_mode(False), torch.no_grad():
        return card, _comparison(fast_decoder.load(order.file), _pairs(order, order.runs))


def _made(order: Order, tick: Callable[[int], None]) -> Card:
    parts = [_pairs(order, number) for number in range(order.runs)]
    pairs = Pairs(*map(torch.cat, zip(*((p.latents, p.images) for p in parts), strict=True)))
    scale = pairs.images.shape[-1] // pairs.latents.shape[-1]
    network = _fitted(order, order.card(scale), pairs, tick)
    errors = squared_errors(network, _pairs(order, order.runs))
    card = replace(network.card, psnr=round(float(decibels(errors.mean())), 2))
    fast_decoder.save(network, order.file, card)
    for number in range(order.runs):
        _shard(order, number).unlink()
    _state(order).unlink(missing_ok=True)
    return card


def _fitted(order: Order, card: Card, pairs: Pairs, tick: Callable[[int], None]) -> FastDecoder:
    """Fit, and keep what there is whatever happens."""
    cells = pairs.latents.shape[-1] * pairs.latents.shape[-2]
    device = comfy.model_management.get_torch_device()
    batch = min(16, max(4, CELLS // cells))
    fitting = Fitting(card, order.steps, batch, order.seed, device)
    comfy.model_management.free_memory(8.0 * batch * cells * fitting.network.kept, device)
    fitting.resume(_state(order))

    def on_step(step: int, error: float) -> None:
        tick(TICKS // 2 + TICKS // 2 * step // order.steps)
        if step % OFTEN == 0:
            fitting.save(_state(order))
        comfy.model_management.throw_exception_if_processing_interrupted()

    try:
        with torch.enable_grad():
            fitting.run(pairs, on_step)
    finally:
        fitting.save(_state(order))
    return fitting.network


def _state(order: Order) -> Path:
    return order.work / "state.pt"


def _shard(order: Order, number: int) -> Path:
    return order.work / f"run_{number:03}.safetensors"


def _pairs(order: Order, number: int) -> Pairs:
    return Pairs(**safetensors.torch.load_file(_shard(order, number)))


def _gather(order: Order, number: int) -> None:
    """Sample a run, decode its estimates, and keep both in a file, if there is none."""
    path = _shard(order, number)
    if path.is_file():
        return
    latents = _estimates(order, number)
    found = {"latents": latents, "images": _decoded(order, latents)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".writing")
    safetensors.torch.save_file(found, temporary)
    temporary.replace(path)


def _estimates(order: Order, number: int) -> Tensor:
    """Estimates (N, C, h, w) of a run, of all its steps.

    From images, the runs start at one noise level after the other: an image is kept the less, the
    later the run.
    """
    found: list[Tensor] = []
    plan, of_images = order.plan, bool(order.latent["samples"].count_nonzero())
    if of_images:
        first = (len(plan.sigmas) - 1) * (order.runs - 1 - number % order.runs) // order.runs
        plan = replace(plan, sigmas=plan.sigmas[first:])

    def keep(step: int, x0: Tensor, x: Tensor, total: int) -> None:
        found.append(x0.float().cpu())

    samplers.sample(plan, order.sampler_name, order.seed + number, order.latent, callback=keep)
    latents = torch.cat(found)
    return (latents.squeeze(2) if latents.ndim == 5 else latents).clone()


@torch.no_grad()
def _decoded(order: Order, latents: Tensor) -> Tensor:
    """What the VAE makes of estimates (N, C, h, w), at the size asked for: bytes (N, 3, H, W)."""
    exact, images = order.exact(), []
    if exact.latent_format.latent_dimensions == 3:
        latents = latents.unsqueeze(2)
    need = exact.vae.memory_used_decode(latents[:1].shape, exact.vae.vae_dtype)
    comfy.model_management.load_models_gpu(exact.patchers, memory_required=need)
    for latent in latents.split(1):
        comfy.model_management.throw_exception_if_processing_interrupted()
        image = exact(latent)
        part = torch.nn.functional.interpolate(image, scale_factor=PARTS[order.part], mode="area")
        images.append(as_bytes(part.cpu()))
    return torch.cat(images)


def _comparison(network: FastDecoder, pairs: Pairs) -> Tensor:
    rows = torch.linspace(0, len(pairs.latents) - 1, min(SHOWN, len(pairs.latents))).long()
    own = network(pairs.latents[rows]).clamp(0, 1)
    both = torch.cat([pairs.images[rows] / 255, own], 2)
    return torch.cat(list(both), 2).movedim(0, -1)[None]
