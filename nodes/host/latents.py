"""What a latent holds: refused where energies cannot look at it, before the model is called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from ...guidance_core.requirements import requirements_of
from ...guidance_core.steering import has_work

NO_IMAGE = (
    "an energy looks at the image, but the latents of this model hold {held}: energies of the "
    "image do not apply to them; guide a model of images"
)
NESTED = (
    "expected one latent, got a nested one (audio with video): sample it with the model before "
    "Apply Guidance"
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


def check_one_image(rules: Iterable[Any], latent: Tensor, sigmas: Tensor) -> None:
    """Refuse a video where a rule with work looks at the image.

    Arguments:
        rules: rules whose schedules know noise levels.
        latent: shape (B, C, *S).
        sigmas: noise levels of the run, shape (N,).

    Raises:
        ValueError: the latent has several frames.
    """
    levels = sigmas[:-1].tolist()
    looking = (rule for rule in rules if looks_at_image(rule))
    works = any(has_work(rule, level) for rule in looking for level in levels)
    if works and latent.ndim == 5 and latent.shape[2] > 1:
        raise ValueError(
            "energies that look at the image need a latent of one image, got a video of "
            f"{latent.shape[2]} latent frames: sample one frame, or use energies that do not look "
            "at the image"
        )


def check_single(latent: Tensor, shapes: Sequence[Any] | None) -> None:
    """Refuse several latents in one.

    Arguments:
        latent: what is sampled.
        shapes: of the latents in it, as newer hosts tell.

    Raises:
        ValueError: there are several.
    """
    if getattr(latent, "is_nested", False) or (shapes is not None and len(shapes) > 1):
        raise ValueError(NESTED)


def still_image(image: Tensor) -> Tensor:
    """Return a decoded image as (B, 3, H, W); video models give one frame, (B, 3, 1, H, W).

    Raises:
        ValueError: there is more than one frame, or it is no RGB image.
    """
    if image.ndim == 5 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim == 4 and image.shape[1] == 3:
        return image
    known = {4: f"{image.shape[1]} channels", 5: f"a video of {image.shape[2]} frames"}
    given = known.get(image.ndim, "no image")
    raise ValueError(
        f"energies that look at the image need a decoder that gives one RGB image, got {given}: "
        "sample one frame, with the VAE that belongs to the model"
    )
