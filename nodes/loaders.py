"""Nodes that load the embedded model and guide networks."""

from __future__ import annotations

from comfy_api.latest import io

from .host import networks, shapes
from .sockets import Network, schema

FILE_TIP = (
    "A weights file under models/guidance (safetensors, or a checkpoint that loads with "
    "weights_only). 'shapes' is the small network that comes with the pack, for the embedded "
    "model."
)


def file_input(*, embedded: bool = True) -> io.Input:
    """The file picker of a guide network; `embedded`: whether the pack brings one of its kind."""
    files, tip = networks.guide_files(embedded=embedded), FILE_TIP
    if not embedded:
        tip = f"{FILE_TIP.partition('. ')[0]}. The pack brings none of this kind."
    return io.Combo.Input("file", options=files, default=files[0], tooltip=tip)


def architecture_input(tip: str) -> io.Input:
    """The name of a network's architecture; 'auto' where the file tells."""
    return io.String.Input("architecture", default="auto", tooltip=tip)


def file_fault(file: str | None, *, embedded: bool = True) -> str | None:
    """What is wrong with a chosen file, if anything; None comes over a link, not known yet."""
    files = networks.guide_files(embedded=embedded)
    if file is None or (file in files and file != networks.NO_FILE):
        return None
    return (
        f"no weights file {file!r} in models/guidance (found: {', '.join(files)}): put the file "
        f"there and refresh the page, or choose one that is there"
    )


class LoadShapes(io.ComfyNode):
    """The embedded demo model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGLoadShapes",
            display_name="Load Shapes (embedded demo model)",
            category="guidance/loaders",
            description="A small text-to-image model of flat scenes that comes with the pack: "
            "128x128 pixels, captions such as 'a big red circle and a small white square'. No "
            "download.",
            search_aliases=("demo model", "example checkpoint", "shapes"),
            inputs=[],
            outputs=[
                io.Model.Output(
                    tooltip="Diffusion model of Stable Diffusion's anatomy, for any sampler."
                ),
                io.Clip.Output(tooltip="Text encoder, for the ordinary CLIP Text Encode node."),
                io.Vae.Output(tooltip="Autoencoder: 128x128 pixels to 16x16 latents and back."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        """Load the three parts."""
        return io.NodeOutput(*shapes.load())


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


NODES = [LoadShapes, LoadOpenCLIP, LoadClassifier]
