"""Nodes that load segmenters, detectors, face encoders and vision transformers."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .host import networks
from .host.clip_vision import VisionNetwork
from .loaders import architecture_input, file_fault, file_input
from .sockets import Network, schema


class LoadSegmenter(io.ComfyNode):
    """A network that tells what each pixel belongs to."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGLoadSegmenter",
            display_name="Load Guide: Segmenter",
            category="guidance/loaders",
            description="Load a segmentation network: guidance can then ask what lies where.",
            search_aliases=("segmentation guidance", "torchvision", "guide network"),
            inputs=[
                file_input(),
                architecture_input(
                    "The torchvision name of the network: lraspp_mobilenet_v3_large (Universal "
                    "Guidance), deeplabv3_resnet50, fcn_resnet50, ... 'auto' reads it from the "
                    "file."
                ),
            ],
            outputs=[Network.Output(display_name="network", tooltip="For Energy: Segmentation.")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Refuse a missing file when the workflow is queued."""
        return file_fault(file) or True

    @classmethod
    def execute(cls, file: str, architecture: str) -> io.NodeOutput:
        """Load the network."""
        return io.NodeOutput(networks.load_segmenter(file, architecture))


class LoadViT(io.ComfyNode):
    """A vision transformer whose features tell structure from appearance."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGLoadViT",
            display_name="Load Guide: ViT",
            category="guidance/loaders",
            description="Load a vision transformer such as DINO: its keys hold the structure of a "
            "picture, its class token the appearance.",
            search_aliases=("dino", "dinov2", "vision transformer", "guide network"),
            inputs=[
                file_input(),
                architecture_input(
                    "The timm name of the network, such as vit_base_patch8_224 (DiffuseIT's "
                    "DINO) or vit_small_patch14_dinov2. 'auto' reads it from the file."
                ),
            ],
            outputs=[
                Network.Output(
                    display_name="network",
                    tooltip="For Energy: Structure, Energy: Style and Energy: Image.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Refuse a missing file when the workflow is queued."""
        return file_fault(file) or True

    @classmethod
    def execute(cls, file: str, architecture: str) -> io.NodeOutput:
        """Load the network."""
        return io.NodeOutput(networks.load_vit(file, architecture))


class LoadDetector(io.ComfyNode):
    """A network that finds objects in boxes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGLoadDetector",
            display_name="Load Guide: Detector",
            category="guidance/loaders",
            description="Load an object detector: guidance can then ask for objects in boxes, or "
            "find a face.",
            search_aliases=("object detection", "faster r-cnn", "retinanet", "guide network"),
            inputs=[
                file_input(),
                architecture_input(
                    "The torchvision name of the network: fasterrcnn_resnet50_fpn_v2 (Universal "
                    "Guidance), fasterrcnn_mobilenet_v3_large_fpn, retinanet_resnet50_fpn, ... "
                    "'auto' reads it from the file."
                ),
            ],
            outputs=[
                Network.Output(
                    display_name="network",
                    tooltip="For Energy: Detection and Energy: Face Identity.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Refuse a missing file when the workflow is queued."""
        return file_fault(file) or True

    @classmethod
    def execute(cls, file: str, architecture: str) -> io.NodeOutput:
        """Load the network."""
        return io.NodeOutput(networks.load_detector(file, architecture))


class LoadFaceEncoder(io.ComfyNode):
    """A network that tells faces apart."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGLoadFaceEncoder",
            display_name="Load Guide: Face Encoder",
            category="guidance/loaders",
            description="Load a network trained for face recognition: guidance can then ask for "
            "the face of a reference.",
            search_aliases=("arcface", "face recognition", "identity", "guide network"),
            inputs=[
                file_input(embedded=False),
                architecture_input(
                    "The timm name of the network, such as vit_tiny_patch16_224 or resnet50; it "
                    "sees faces of 112x112 pixels. Universal Guidance used FaceNet. 'auto' reads "
                    "it from the file."
                ),
            ],
            outputs=[Network.Output(display_name="network", tooltip="For Energy: Face Identity.")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Refuse a missing file when the workflow is queued."""
        return file_fault(file, embedded=False) or True

    @classmethod
    def execute(cls, file: str, architecture: str) -> io.NodeOutput:
        """Load the network."""
        return io.NodeOutput(networks.load_face_encoder(file, architecture))


class GuideFromCLIPVision(io.ComfyNode):
    """A CLIP vision model of the host as a guide."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Sockets."""
        return schema(
            "EGGuideFromCLIPVision",
            display_name="Guide from CLIP Vision",
            category="guidance/loaders",
            description="Use a file of the clip_vision folder as guide: pictures and styles, no "
            "sentences.",
            search_aliases=("clip vision", "ip-adapter", "image encoder", "guide network"),
            inputs=[
                io.ClipVision.Input(
                    "clip_vision",
                    tooltip="From Load CLIP Vision: a ViT-L, ViT-H or bigG, not SigLIP or DINO.",
                )
            ],
            outputs=[
                Network.Output(
                    display_name="network",
                    tooltip="For Energy: CLIP Image, Energy: Style and Energy: Image.",
                )
            ],
        )

    @classmethod
    def execute(cls, clip_vision: Any) -> io.NodeOutput:
        """Wrap the model."""
        return io.NodeOutput(VisionNetwork(clip_vision))


NODES = [LoadSegmenter, LoadViT, LoadDetector, LoadFaceEncoder, GuideFromCLIPVision]
