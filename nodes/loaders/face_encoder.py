"""A network that tells faces apart."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import networks
from ..inputs.network_file import architecture_input, file_fault, file_input
from ..inputs.sockets import Network, schema


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
