"""Gives a portrait the face of a reference."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.face_identity import FaceIdentity
from ...guidance_core.image.masks import square_around
from ..inputs.energy import (
    OUTPUTS,
    channels_first,
    closing_inputs,
    finished,
    normal,
    reference_input,
)
from ..inputs.faults import label_fault, network_fault
from ..inputs.sockets import Network, schema


class EnergyFaceIdentity(io.ComfyNode):
    """Gives a portrait the face of a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyFaceIdentity",
            display_name="Energy: Face Identity",
            category="guidance/what",
            description="Gives a portrait the face of a reference. The face is the whole "
            "image, the square around the mask, or what a detector finds; at steps where it "
            "finds none, the image is not guided.",
            search_aliases=("face id", "arcface", "identity", "portrait"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Face."),
                reference_input(
                    "Image of the wanted face, cropped like the encoder's training images."
                ),
                io.Combo.Input(
                    "distance",
                    options=["cosine", "l1"],
                    default="cosine",
                    tooltip="How faces are compared: cosine takes one minus the cosine of "
                    "the embeddings, l1 their mean absolute difference. The two need "
                    "different strengths in the absolute scale.",
                ),
                *closing_inputs(),
                io.Mask.Input(
                    "reference_mask",
                    optional=True,
                    tooltip="Where the face is in the reference: the square around the white "
                    "area is used.",
                ),
                Network.Input(
                    "detector",
                    optional=True,
                    tooltip="From Load Guide: Detector. Finds the face in the image and in "
                    "the reference, at any place.",
                ),
                io.String.Input(
                    "detector_label",
                    default="person",
                    optional=True,
                    tooltip="The detector's label for a face. Not used without a detector.",
                ),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, network: None = None, detector_label: str | None = None) -> bool | str:
        """Refuse other kinds of networks, or an unknown label, when the workflow is queued."""
        fault = network_fault("network", "EGLoadFaceEncoder")
        fault = fault or network_fault("detector", "EGLoadDetector")
        if fault is None and detector_label is not None:
            fault = label_fault("detector", detector_label.strip())
        return fault or True

    @classmethod
    def execute(
        cls,
        network: Any,
        reference: torch.Tensor,
        distance: str,
        weight: float,
        mask: torch.Tensor | None = None,
        reference_mask: torch.Tensor | None = None,
        detector: Any = None,
        detector_label: str = "person",
    ) -> io.NodeOutput:
        """Build the energy."""
        faces = channels_first(reference)
        if reference_mask is not None:
            faces = normal(_cropped(faces, reference_mask))
        label = detector_label.strip()
        return finished(FaceIdentity(network, faces, distance, detector, label), weight, mask)


def _cropped(faces: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The square around the mask, cut out of reference images (N, 3, h, w)."""
    if mask.shape[-2:] != faces.shape[-2:] or not (mask > 0).any():
        raise ValueError(
            f"reference_mask must have the size of the reference, {_size(faces)} pixels, got "
            f"{_size(mask)}: paint the face on the reference itself"
            if (mask > 0).any()
            else "reference_mask is empty: paint the face white"
        )
    rows, columns = square_around(mask.reshape(-1, *mask.shape[-2:]).amax(0))
    return faces[..., rows, columns]


def _size(image: torch.Tensor) -> str:
    """Height x width of a tensor (..., h, w), for messages."""
    return f"{image.shape[-2]} x {image.shape[-1]}"
