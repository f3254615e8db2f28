"""Nodes that ask a face encoder, a ViT or a rating what the picture looks like."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..guidance_core.energies.aesthetic import Aesthetic
from ..guidance_core.energies.face_identity import FaceIdentity
from ..guidance_core.energies.semblance import Semblance
from ..guidance_core.energies.structure import Structure
from ..guidance_core.pictures import square_around
from .host import networks
from .loaders import file_fault, file_input
from .sockets import Network, schema
from .weighting import OUTPUTS, closing_inputs, finished, normal, pictures, reference_input


class EnergyFaceIdentity(io.ComfyNode):
    """The face of a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyFaceIdentity",
            display_name="Energy: Face Identity",
            category="guidance/energy",
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


class EnergyStructure(io.ComfyNode):
    """Structure or appearance of a reference, by a ViT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyStructure",
            display_name="Energy: Structure",
            category="guidance/energy",
            description="Low where the picture is laid out like a reference, whatever its colours "
            "and textures; or where it looks like it, whatever its layout. By a ViT's keys and "
            "class token, as in DiffuseIT.",
            search_aliases=("diffuseit", "dino", "splice", "image translation", "appearance"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: ViT (DiffuseIT: DINO)."),
                reference_input("The picture to keep the structure of, or to look like."),
                io.Combo.Input(
                    "compare",
                    options=["self-similarity", "contrast", "appearance"],
                    default="self-similarity",
                    tooltip="Structure by which patches resemble each other (DiffuseIT: weight "
                    "1000), or by finding each patch again before all others (200, of another "
                    "unit); or the appearance of the whole (2000).",
                ),
                io.Float.Input(
                    "temperature",
                    default=0.07,
                    min=0.01,
                    max=10.0,
                    step=0.01,
                    tooltip="Of the contrast only: lower ones mind the nearest patches more. "
                    "DiffuseIT: 0.07.",
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls,
        network: Any,
        reference: torch.Tensor,
        compare: str,
        temperature: float,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        if compare == "appearance":
            return finished(Semblance(network, pictures(reference)), weight, mask)
        energy = Structure(network, pictures(reference), compare, temperature)
        return finished(energy, weight, mask)


class EnergyAesthetic(io.ComfyNode):
    """A picture that people like, by an aesthetic predictor."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyAesthetic",
            display_name="Energy: Aesthetic",
            category="guidance/energy",
            description="Low where a predictor on CLIP embeddings gives the picture a high rating.",
            search_aliases=("laion aesthetics", "beauty", "quality", "reward"),
            inputs=[
                Network.Input(
                    "network",
                    tooltip="From Load Guide: OpenCLIP: the one that the predictor was trained "
                    "on (LAION: ViT-L-14).",
                ),
                file_input(embedded=False),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Refuse a missing file when the workflow is queued."""
        return file_fault(file, embedded=False) or True

    @classmethod
    def execute(
        cls, network: Any, file: str, weight: float, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """Build the energy."""
        return finished(Aesthetic(network, networks.load_aesthetic(file)), weight, mask)


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


NODES = [EnergyFaceIdentity, EnergyStructure, EnergyAesthetic]
