"""What a fast decoder is fitted to in the host: a model's own estimates, and the VAE's images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import comfy.model_management
import folder_paths
import safetensors.torch
import torch
from torch import Tensor

from ...guidance_core.networks import fast_decoder
from ...guidance_core.networks.fast_decoder import Card
from ...guidance_core.procedures.decoder_fitting import Pairs, as_bytes
from . import samplers
from .decode import decoder
from .fitted_decoder import FOLDER, name_of
from .kept import kept_in
from .latents import check_has_image

WORK = "guidance_fitting"
PARTS = {"full": 1.0, "half": 0.5, "quarter": 0.25}


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


def state_of(order: Order) -> Path:
    """File of the decoder on its way."""
    return order.work / "state.pt"


def shard_of(order: Order, number: int) -> Path:
    """File of the pairs of a run."""
    return order.work / f"run_{number:03}.safetensors"


def pairs_of(order: Order, number: int) -> Pairs:
    """Pairs of a run that was gathered."""
    return Pairs(**safetensors.torch.load_file(shard_of(order, number)))


def gather(order: Order, number: int) -> None:
    """Sample a run, decode its estimates, and keep both in a file, if there is none."""
    path = shard_of(order, number)
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
