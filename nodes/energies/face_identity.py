"""The face of a reference."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.face_identity import FaceIdentity
from ...guidance_core.image.masks import square_around
from ..inputs.energy import OUTPUTS, closing_inputs, finished, normal, pictures, reference_input
from ..inputs.sockets import Network, schema


class EnergyFaceIdentity(io.ComfyNode):
    """The face of a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyFaceIdentity",
            display_name="Energy: Face Identity",
            category="guidance/energies",
            description="Low where a face encoder takes the picture's face for the reference's. "
            "The face is the whole picture, the square around the mask, or what a detector finds; "
            "where it finds none, that step of that picture is not guided.",
            search_aliases=("face id", "arcface", "identity", "portrait"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Face Encoder."),
                reference_input("A picture of the face, cropped to it like the encoder's own."),
                io.Combo.Input(
                    "distance",
                    options=["cosine", "l1"],
                    default="cosine",
                    tooltip="One minus the cosine (ArcFace), or the mean absolute difference "
                    "(Universal Guidance, weight 20000).",
                ),
                *closing_inputs(),
                io.Mask.Input(
                    "reference_mask",
                    optional=True,
                    tooltip="Where the face is in the reference: the square around it is taken. "
                    "Universal Guidance took a fixed square.",
                ),
                Network.Input(
                    "detector",
                    optional=True,
                    tooltip="From Load Guide: Detector: finds the face, in the reference too. "
                    "Universal Guidance: MTCNN.",
                ),
                io.String.Input(
                    "detector_label",
                    default="person",
                    optional=True,
                    tooltip="What the detector calls a face. Not used without one.",
                ),
            ],
            outputs=OUTPUTS,
        )

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
        faces = pictures(reference)
        if reference_mask is not None:
            faces = normal(_cropped(faces, reference_mask))
        label = detector_label.strip()
        return finished(FaceIdentity(network, faces, distance, detector, label), weight, mask)


def _cropped(faces: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The square around the mask of reference pictures (N, 3, h, w)."""
    if mask.shape[-2:] != faces.shape[-2:] or not (mask > 0).any():
        raise ValueError(
            "reference_mask must be painted on the reference, of the same size, got "
            f"{tuple(mask.shape[-2:])} for a picture of {tuple(faces.shape[-2:])}"
            if (mask > 0).any()
            else "reference_mask is empty: paint the face"
        )
    rows, columns = square_around(mask.reshape(-1, *mask.shape[-2:]).amax(0))
    return faces[..., rows, columns]
