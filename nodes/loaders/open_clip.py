"""A CLIP network for energies that compare pictures with words."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import networks
from ..inputs.network_file import architecture_input, file_fault, file_input
from ..inputs.sockets import Network, schema


class LoadOpenCLIP(io.ComfyNode):
    """A CLIP network for energies that compare pictures with words."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGLoadOpenCLIP",
            display_name="Load Guide: OpenCLIP",
            category="guidance/loaders",
            description="Load an open_clip network that judges how well a picture fits a sentence.",
            search_aliases=("clip guidance", "open_clip", "guide network"),
            inputs=[
                file_input(),
                architecture_input(
                    "The open_clip name of the network, such as ViT-B-32 or RN50 (Universal "
                    "Guidance used RN50). 'auto' reads it from the file."
                ),
            ],
            outputs=[Network.Output(display_name="network", tooltip="For Energy: CLIP Text.")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Refuse a missing file when the workflow is queued."""
        return file_fault(file) or True

    @classmethod
    def execute(cls, file: str, architecture: str) -> io.NodeOutput:
        """Load the network."""
        return io.NodeOutput(networks.load_clip(file, architecture))
