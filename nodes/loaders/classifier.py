"""An image classifier for energies that ask for a class."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import networks
from ..inputs.network_file import architecture_input, file_fault, file_input
from ..inputs.sockets import Network, schema


class LoadClassifier(io.ComfyNode):
    """An image classifier for energies that ask for a class."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGLoadClassifier",
            display_name="Load Guide: Classifier",
            category="guidance/loaders",
            description="Load an image classifier whose classes guidance can ask for.",
            search_aliases=("classifier guidance", "timm", "guide network"),
            inputs=[
                file_input(),
                architecture_input(
                    "The timm name of the network, such as resnet50 (Universal Guidance) or "
                    "vit_base_patch16_224 (TFG). 'auto' reads it from the file."
                ),
            ],
            outputs=[Network.Output(display_name="network", tooltip="For Energy: Classifier.")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Refuse a missing file when the workflow is queued."""
        return file_fault(file) or True

    @classmethod
    def execute(cls, file: str, architecture: str) -> io.NodeOutput:
        """Load the network."""
        return io.NodeOutput(networks.load_classifier(file, architecture))
