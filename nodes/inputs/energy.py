"""What energy nodes share: pictures that come in, a weight and a mask at the end, the output."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.masked import Masked
from ...guidance_core.energies.weighted_sum import WeightedSum
from .sockets import Energy

OUTPUTS = [Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")]
WEIGHT_TIP = (
    "Share of this energy when several are combined; a negative weight pushes away from the "
    "target. Alone, the 'relative' and 'cfg' scales ignore its size. TFG sums its energies with "
    "weight 1."
)


def weight_input() -> io.Input:
    """The weight of an energy in a sum."""
    return io.Float.Input(
        "weight", default=1.0, min=-1000.0, max=1000.0, step=0.05, tooltip=WEIGHT_TIP
    )


def closing_inputs() -> list[io.Input]:
    """What every energy of the picture ends with: a weight and an optional mask."""
    return [
        weight_input(),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="White is what the energy sees and may change; the rest is left alone. "
            "Without a mask, the whole picture, as in the papers.",
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


def pictures(image: torch.Tensor, name: str = "reference") -> torch.Tensor:
    """An IMAGE (N, H, W, 3) as pictures (N, 3, H, W) that autograd may save.

    Raises:
        ValueError: the image has another number of channels, such as an alpha channel.
    """
    if image.shape[-1] != 3:
        raise ValueError(
            f"{name} must be an RGB image, got {image.shape[-1]} channels: take the alpha channel "
            "off with Split Image with Alpha"
        )
    return normal(image.movedim(-1, 1).float().clamp(0, 1))


def reference_input(tip: str, **options: Any) -> io.Input:
    """The picture that an energy compares with."""
    return io.Image.Input("reference", tooltip=tip, **options)


def fault_of(read: Any, text: str) -> str | None:
    """What `read` says is wrong with a text, if anything."""
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return None
