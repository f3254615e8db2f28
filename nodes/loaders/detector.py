"""A network that finds objects in boxes."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import networks
from ..inputs.network_file import architecture_input, file_fault, file_input
from ..inputs.sockets import Network, schema


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
