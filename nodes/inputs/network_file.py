"""The file picker that loaders of guide networks share."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import networks

FILE_TIP = (
    "Weights file of the network, in the folder models/guidance (safetensors, or a "
    "checkpoint that loads with weights_only). 'shapes' is the small network of this pack, "
    "for the embedded model."
)


def file_input(kind: networks.Kind) -> io.Input:
    """The file picker of a kind of guide network."""
    files, tip = networks.guide_files(kind), FILE_TIP
    if not kind.embedded:
        tip = f"{FILE_TIP.partition('. ')[0]}. The pack has no network of this kind."
    return io.Combo.Input("file", options=files, default=files[0], tooltip=tip)


def architecture_input(tip: str) -> io.Input:
    """The name of a network's architecture; 'auto' where the file tells."""
    return io.String.Input("architecture", default="auto", tooltip=tip)


def file_fault(file: str | None, kind: networks.Kind) -> str | None:
    """Why a chosen file cannot be used; None if it can, or if it is linked and not known yet."""
    files = networks.guide_files(kind)
    if file is None or (file in files and file != networks.NO_FILE):
        return None
    return (
        f"file must be a weights file in models/guidance, got {file} (found: {', '.join(files)}): "
        f"put the file there and refresh the page, or choose one of those found"
    )
