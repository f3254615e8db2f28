"""A network that tells what each pixel belongs to."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import networks
from ..inputs.network_file import architecture_input, file_fault, file_input
from ..inputs.sockets import Network, schema


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
