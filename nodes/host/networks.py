"""Guide networks: where their files lie, and how the host loads and offloads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import folder_paths
import torch
from torch import nn

FOLDER = "guidance"
EMBEDDED = "shapes"
NO_FILE = "(no file in models/guidance)"  # a picker must offer something
PATCHER = "energy_guidance_patcher"
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
ASSETS = Path(__file__).parents[2] / "assets" / "shapes"


def managed(network: nn.Module) -> comfy.model_patcher.ModelPatcher:
    """Wrap a network so that the host loads, offloads and counts it like its own models.

    The wrapper stays with its network: a network that outlives its wrapper looks like a memory leak
    to the host, which then collects garbage before every run and warns.
    """
    patcher = getattr(network, PATCHER, None)
    if patcher is None:
        load_device = comfy.model_management.get_torch_device()
        offload_device = comfy.model_management.unet_offload_device()
        patcher = comfy.model_patcher.ModelPatcher(network, load_device, offload_device)
        setattr(network, PATCHER, patcher)
    return patcher


def guide_files(*, embedded: bool = True) -> list[str]:
    """Return what a file picker offers: the embedded network, files under models/guidance.

    Arguments:
        embedded: whether the pack has a network of that kind.
    """
    if FOLDER not in folder_paths.folder_names_and_paths:
        folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / FOLDER))
    files = folder_paths.get_filename_list(FOLDER)
    files = [file for file in files if file.endswith(SUFFIXES)]
    if embedded:
        return [EMBEDDED, *files]
    return files or [NO_FILE]


def path_of(name: str, embedded: str = "") -> Path:
    """Return the path of a file that guide_files offers.

    Arguments:
        name: the name from the file picker.
        embedded: file name of the embedded network that "shapes" stands for; empty if none.

    Raises:
        ValueError: there is no such file.
    """
    offered = guide_files(embedded=bool(embedded))
    own = embedded and name == EMBEDDED
    path = ASSETS / embedded if own else folder_paths.get_full_path(FOLDER, name)
    if path is None or not Path(path).is_file():
        raise ValueError(
            f"expected a weights file under models/{FOLDER}, {name!r} is not there: put it there "
            f"or choose one of {', '.join(offered)}"
        )
    return Path(path)


def load_clip(file: str, architecture: str = "auto") -> Any:
    """Load an open_clip network of the file picker, outside inference mode."""
    from ...guidance_core.networks import clip

    with torch.inference_mode(False):
        return clip.load(path_of(file, "open_clip.safetensors"), architecture)


def load_classifier(file: str, architecture: str = "auto") -> Any:
    """Load an image classifier of the file picker, outside inference mode."""
    from ...guidance_core.networks import classifier

    with torch.inference_mode(False):
        return classifier.load(path_of(file, "classifier.safetensors"), architecture)


def load_segmenter(file: str, architecture: str = "auto") -> Any:
    """Load a segmenter of the file picker, outside inference mode."""
    from ...guidance_core.networks import segmenter

    with torch.inference_mode(False):
        return segmenter.load(path_of(file, "segmenter.safetensors"), architecture)


def load_vit(file: str, architecture: str = "auto") -> Any:
    """Load a vision transformer of the file picker, outside inference mode."""
    from ...guidance_core.networks import vit

    with torch.inference_mode(False):
        return vit.load(path_of(file, "vit.safetensors"), architecture)


def load_detector(file: str, architecture: str = "auto") -> Any:
    """Load a detector of the file picker, outside inference mode."""
    from ...guidance_core.networks import detector

    with torch.inference_mode(False):
        return detector.load(path_of(file, "detector.safetensors"), architecture)


def load_face_encoder(file: str, architecture: str = "auto") -> Any:
    """Load a face encoder of the file picker, outside inference mode."""
    from ...guidance_core.networks import face

    with torch.inference_mode(False):
        return face.load(path_of(file), architecture)


def load_aesthetic(file: str) -> Any:
    """Load an aesthetic predictor of the file picker, outside inference mode."""
    from ...guidance_core.networks import aesthetic

    with torch.inference_mode(False):
        return aesthetic.load(path_of(file))
