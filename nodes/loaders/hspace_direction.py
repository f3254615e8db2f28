"""Loads a direction that was trained before, for h-space Edit."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import networks
from ..inputs.network_file import file_fault
from ..inputs.sockets import Direction, schema


class LoadHSpaceDirection(io.ComfyNode):
    """Loads a direction that was trained before, for h-space Edit."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        files = networks.guide_files(networks.DIRECTION)
        return schema(
            "EGLoadHSpaceDirection",
            display_name="Load h-space Direction",
            category="guidance/loaders",
            description="Loads a direction that Find h-space Direction has trained, for h-space "
            "Edit with the same model.",
            search_aliases=("asyrp", "semantic direction"),
            inputs=[
                io.Combo.Input(
                    "file",
                    options=files,
                    default=files[0],
                    tooltip="shapes is a direction of the embedded model, towards blue; others are "
                    "files in the folder models/guidance.",
                )
            ],
            outputs=[Direction.Output(display_name="direction", tooltip="For h-space Edit.")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """Refuse a missing file when the workflow is queued."""
        return file_fault(file, networks.DIRECTION) or True

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        """Load the direction."""
        return io.NodeOutput(networks.load(networks.DIRECTION, file))
