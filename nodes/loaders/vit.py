"""A vision transformer whose features tell structure from appearance."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import networks
from ..inputs.network_file import architecture_input, file_fault, file_input
from ..inputs.sockets import Network, schema


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
