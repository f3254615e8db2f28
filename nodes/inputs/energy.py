"""What energy nodes share: reference images, a weight and a mask at the end, the output."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.masked import Masked
from ...guidance_core.energies.weighted_sum import WeightedSum
from .sockets import Energy, advanced

OUTPUTS = [Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")]
WEIGHT_TIP = (
    "How much this energy counts in a sum: higher follows it more, a negative weight moves "
    "away from its target. For a single energy, the 'relative' and 'cfg' scales use only the "
    "sign of the weight."
)


def weight_input() -> io.Input:
    """The weight of an energy in a sum."""
    return io.Float.Input(
        "weight", default=1.0, min=-1000.0, max=1000.0, step=0.05, tooltip=WEIGHT_TIP
    )


def closing_inputs() -> list[io.Input]:
    """The last inputs of an image energy: weight and optional mask."""
    return [
        weight_input(),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="Limits the energy to the white area: only this is compared and changed. "
            "Without a mask, the whole image.",
        ),
    ]


def crop_inputs(cutouts: int, more: str) -> list[io.Input]:
    """The crops that a CLIP network sees: how many (`more` says what more do), and their seed."""
    return [
        io.Int.Input(
            "cutouts",
            default=cutouts,
            min=0,
            max=128,
            tooltip="Random crops that the network sees at each step besides the whole image. "
            + more,
        ),
        io.Boolean.Input(
            "augment",
            default=True,
            tooltip="Turns, shifts and recolours the crops a little, against texture that pleases "
            "the network and nobody else. No effect without crops.",
        ),
        advanced(
            io.Int.Input(
                "seed",
                default=0,
                min=0,
                max=0xFFFFFFFFFFFFFFFF,
                control_after_generate=False,
                tooltip="Seed of the crops and of their changes.",
            )
        ),
    ]


def finished(energy: Any, weight: float, mask: torch.Tensor | None) -> io.NodeOutput:
    """The energy under its mask and weight."""
    if mask is not None:
        energy = Masked(energy, normal(mask))
    return io.NodeOutput(energy if weight == 1.0 else WeightedSum(((weight, energy),)))


def normal(tensor: torch.Tensor) -> torch.Tensor:
    """A copy that autograd may save, unlike the inference tensors that ComfyUI gives to nodes."""
    with torch.inference_mode(False):
        return tensor.clone()


def channels_first(image: torch.Tensor, name: str = "reference") -> torch.Tensor:
    """An IMAGE (N, H, W, 3) as tensor (N, 3, H, W) that autograd may save.

    Raises:
        ValueError: the image has another number of channels, such as an alpha channel.
    """
    if image.shape[-1] != 3:
        raise ValueError(
            f"{name} must be an RGB image, got {image.shape[-1]} channels: remove the alpha "
            "channel with Split Image with Alpha"
        )
    return normal(image.movedim(-1, 1).float().clamp(0, 1))


def reference_input(tip: str, **options: Any) -> io.Input:
    """The image that an energy compares with."""
    return io.Image.Input("reference", tooltip=tip, **options)


def fault_of(read: Any, text: str) -> str | None:
    """Message of the ValueError that `read` raises for a text; None if it raises none."""
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return None


def sentence_fault(text: str | None) -> str | None:
    """Why a text is no sentence; None if it is one, or if it is linked and not known yet."""
    if text is None or text.strip():
        return None
    return "text must be a sentence, got none: say what the image should show"
