"""Nodes that ask a segmenter, a detector, a ViT, a face encoder or a rating."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..guidance_core.energies.aesthetic import Aesthetic
from ..guidance_core.energies.detection import Detection
from ..guidance_core.energies.face_identity import FaceIdentity
from ..guidance_core.energies.segmentation import LabelArea, Segmentation
from ..guidance_core.energies.semblance import Semblance
from ..guidance_core.energies.structure import Structure
from ..guidance_core.pictures import square_around
from .guides import OUTPUTS, fault_of, reference_input
from .host import networks
from .loaders import file_fault, file_input
from .sockets import Network, advanced, schema
from .weighting import closing_inputs, finished, normal, pictures


class EnergySegmentation(io.ComfyNode):
    """What lies where, by a segmenter."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergySegmentation",
            display_name="Energy: Segmentation",
            category="guidance/energy",
            description="Low where a segmenter finds a label in the painted area, or where it "
            "finds in the picture what it finds in a reference.",
            search_aliases=("segmentation guidance", "layout", "semantic map"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Segmenter."),
                io.String.Input(
                    "label",
                    default="circle",
                    tooltip="What should be in the area; the error of an unknown label lists the "
                    "known ones. Empty: the area is a whole class map, whose grey level 0 to 255 "
                    "is the number of each pixel's label (255: anything).",
                ),
                io.Combo.Input(
                    "outside",
                    options=["other", "ignored"],
                    default="other",
                    tooltip="Outside the area the label should not be, or anything goes (for "
                    "several of these nodes together). Universal Guidance gave every pixel a "
                    "label.",
                ),
                *closing_inputs(),
                io.Mask.Input(
                    "area",
                    optional=True,
                    tooltip="White is where the label should be; any size.",
                ),
                reference_input(
                    "Instead of an area: a picture whose own segmentation is wanted, as in "
                    "Universal Guidance.",
                    optional=True,
                ),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls,
        network: Any,
        label: str,
        outside: str,
        weight: float,
        mask: torch.Tensor | None = None,
        area: torch.Tensor | None = None,
        reference: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        if (area is None) == (reference is None):
            raise ValueError(
                "Energy: Segmentation needs an area or a reference picture, got "
                f"{'neither' if area is None else 'both'}"
            )
        energy: Any
        if area is None:
            energy = Segmentation(network, pictures(reference))
        elif label.strip():
            energy = LabelArea(network, label.strip(), normal(area.clamp(0, 1)), outside)
        else:
            energy = Segmentation(network, normal((area * 255).round().long()))
        return finished(energy, weight, mask)


class EnergyDetection(io.ComfyNode):
    """Objects in boxes, by a detector."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyDetection",
            display_name="Energy: Detection",
            category="guidance/energy",
            description="Low where an object detector finds the wanted objects in their boxes, and "
            "no others.",
            search_aliases=("object detection", "bounding box", "layout"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Detector."),
                io.String.Input(
                    "boxes",
                    default="circle: 0.1 0.3 0.5 0.7",
                    multiline=True,
                    tooltip="One object a line: label: left top right bottom, as parts of width "
                    "and height. The detector expects nothing else in the picture. Universal "
                    "Guidance: weight 100.",
                ),
                advanced(
                    io.Int.Input(
                        "seed",
                        default=0,
                        min=0,
                        max=0xFFFFFFFFFFFFFFFF,
                        control_after_generate=False,
                        tooltip="Seed of the places where the detector's losses look; the paper "
                        "leaves it to chance.",
                    )
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, boxes: str | None = None) -> bool | str:
        """Refuse boxes that cannot be read when the workflow is queued."""
        return True if boxes is None else fault_of(boxes_of, boxes) or True

    @classmethod
    def execute(
        cls,
        network: Any,
        boxes: str,
        seed: int,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        labels, corners = boxes_of(boxes)
        return finished(Detection(network, normal(corners), labels, seed), weight, mask)


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


def boxes_of(text: str) -> tuple[tuple[str, ...], torch.Tensor]:
    """Labels and boxes (N, 4) of lines such as 'dog: 0.1 0.3 0.5 0.9'."""
    labels, corners = [], []
    for line in (line for line in text.splitlines() if line.strip()):
        label, _, numbers = line.rpartition(":")
        try:
            box = [float(part) for part in numbers.replace(",", " ").split()]
        except ValueError:
            box = []
        if len(box) != 4 or not label.strip():
            raise ValueError(
                "boxes has one object a line, 'label: left top right bottom' with numbers from 0 "
                f"to 1, got {line.strip()!r}"
            )
        labels.append(label.strip())
        corners.append(box)
    if not labels:
        raise ValueError("boxes is empty: write one object a line, such as 'dog: 0.1 0.3 0.5 0.9'")
    return tuple(labels), torch.tensor(corners)


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


NODES = [
    EnergySegmentation,
    EnergyDetection,
    EnergyFaceIdentity,
    EnergyStructure,
    EnergyAesthetic,
]
