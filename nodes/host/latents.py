"""What a latent holds: refused where energies cannot look at it, before the model is called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from ...guidance_core.image.frames import NO_VIDEO
from ...guidance_core.process import lengths
from ...guidance_core.requirements import requirements_of, walk
from ...guidance_core.steering import has_work

NO_IMAGE = (
    "an energy looks at the image, but the latents of this model hold {held}: energies of the "
    "image do not apply to them; guide a model of images"
)
BATCH = (
    "an energy takes the batch for a video, but the latents of this model are videos themselves: "
    "set its time to latent frames"
)
PROJECTED = (
    "projecting by the autoencoder needs a latent of one image, got a video of {frames} frames: "
    "switch the projection off, or sample one frame"
)
NOISY = (
    "{name} was trained on latents of {want} channels of one image, this model's have {got}: load "
    "a classifier that was trained on latents of this model"
)


def looks_at_image(rule: Any) -> bool:
    """Whether a rule needs the image of a latent, for its energy or to project."""
    return requirements_of([rule]).reads_image or getattr(rule, "projected", False)


def check_has_image(model: Any) -> None:
    """Refuse a model whose latents can never be decoded to an image.

    Arguments:
        model: the host's BaseModel.

    Raises:
        ValueError: it makes audio, or something else without an image.
    """
    if "audio_model" in model.model_config.unet_config:
        raise ValueError(NO_IMAGE.format(held="audio"))
    if getattr(model.latent_format, "latent_dimensions", 2) == 1:
        raise ValueError(NO_IMAGE.format(held="no image"))


def check_frames(rules: Iterable[Any], latent: Tensor, sigmas: Tensor) -> None:
    """Refuse rules with work that need a video where there is none, or one image of a video.

    Arguments:
        rules: rules whose schedules know noise levels.
        latent: shape (B, C, *S).
        sigmas: noise levels of the run, shape (N,).

    Raises:
        ValueError: an energy compares frames, and there is one; a rule projects, and there are
            several; or the batch is to be a video, and is none.
    """
    levels = sigmas[:-1].tolist()
    of_latent = latent.shape[2] if latent.ndim == 5 else 1
    for rule in (rule for rule in rules if any(has_work(rule, level) for level in levels)):
        on_batch = requirements_of([rule]).batch_is_video
        if on_batch and latent.ndim != 4:
            raise ValueError(BATCH)
        frames = len(latent) if on_batch else of_latent
        if getattr(rule, "projected", False) and frames > 1:
            raise ValueError(PROJECTED.format(frames=frames))
        if frames < 2 and any(getattr(part, "reads_video", False) for part in walk(rule)):
            raise ValueError(NO_VIDEO.format(got="one frame"))


def check_noisy_latents(networks: Iterable[Any], latent: Tensor) -> None:
    """Refuse classifiers of noisy latents that were trained on latents of another kind.

    Arguments:
        networks: guide networks of the rules.
        latent: shape (B, C, *S).

    Raises:
        ValueError: the latents have other channels, or are those of a video.
    """
    for network in networks:
        if not hasattr(network, "noisy_labels"):
            continue
        if latent.ndim != 4 or latent.shape[1] != network.channels:
            kinds = {"want": network.channels, "got": lengths(latent[0])}
            raise ValueError(NOISY.format(name=network.name, **kinds))


def still_image(image: Tensor) -> Tensor:
    """Return a decoded image as (B, 3, H, W); of a video (B, 3, T, H, W) its last frame.

    Raises:
        ValueError: it is no RGB image.
    """
    if image.ndim == 5:
        image = image[:, :, -1]
    if image.ndim == 4 and image.shape[1] == 3:
        return image
    given = f"{image.shape[1]} channels" if image.ndim == 4 else "no image"
    raise ValueError(
        f"energies that look at the image need a decoder that gives RGB images, got {given}: "
        "connect the VAE that belongs to the model"
    )
