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


def guide_files() -> list[str]:
    """Return what a file picker offers: the embedded network, files under models/guidance."""
    if FOLDER not in folder_paths.folder_names_and_paths:
        folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / FOLDER))
    files = folder_paths.get_filename_list(FOLDER)
    return [EMBEDDED, *(file for file in files if file.endswith(SUFFIXES))]


def path_of(name: str, embedded: str) -> Path:
    """Return the path of a file that guide_files offers.

    Arguments:
        name: the name from the file picker.
        embedded: file name of the embedded network that "shapes" stands for.

    Raises:
        ValueError: there is no such file.
    """
    offered = guide_files()
    path = ASSETS / embedded if name == EMBEDDED else folder_paths.get_full_path(FOLDER, name)
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
