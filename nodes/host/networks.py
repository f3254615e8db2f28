"""Guide networks: where their files lie, and how the host loads and offloads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import folder_paths
import torch
from torch import nn

from ...guidance_core.networks import (
    aesthetic,
    classifier,
    clip,
    detector,
    face,
    hspace,
    noisy_classifier,
    segmenter,
    vit,
    weights,
)

FOLDER = "guidance"
EMBEDDED = "shapes"
NO_FILE = "(no file in models/guidance)"  # a picker must offer something
PATCHER = "energy_guidance_patcher"
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
ASSETS = Path(__file__).parents[2] / "assets" / "shapes"


@dataclass(frozen=True)
class Kind:
    """A kind of guide network.

    Arguments:
        load: reads a network from the path of its weights file.
        embedded: weights file of the small network that the pack brings; empty if it has none.
        tensors: names that files of this kind hold, and those of other kinds do not.
        called: what messages call it.
        labels: reads the labels of a network from its file; None for a kind without any.
        such_as: a file that fits, for messages.
    """

    load: Callable[..., nn.Module]
    embedded: str = ""
    tensors: frozenset[str] = frozenset()
    called: str = "a guide network"
    labels: Callable[..., tuple[str, ...]] | None = None
    such_as: str = ""


OPEN_CLIP = Kind(
    clip.load,
    "open_clip.safetensors",
    frozenset({"logit_scale", "token_embedding.weight"}),
    "an open_clip network",
    such_as="open_clip_model.safetensors of laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
)
CLASSIFIER = Kind(classifier.load, "classifier.safetensors", labels=classifier.labels_in)
NOISY_CLASSIFIER = Kind(
    noisy_classifier.load, "noisy_classifier.safetensors", labels=noisy_classifier.labels_in
)
SEGMENTER = Kind(segmenter.load, "segmenter.safetensors", labels=segmenter.labels_in)
DETECTOR = Kind(detector.load, "detector.safetensors", labels=detector.labels_in)
VIT = Kind(
    vit.load,
    "vit.safetensors",
    frozenset({"cls_token", "blocks.0.attn.qkv.weight"}),
    "a ViT",
    such_as="model.safetensors of timm/vit_small_patch16_224.dino",
)
FACE_ENCODER = Kind(face.load, "face_encoder.safetensors")
AESTHETIC = Kind(aesthetic.load)
DIRECTION = Kind(hspace.load, "h_space_blue.safetensors", called="an h-space direction")


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


def folder() -> Path:
    """The folder of guide networks, which the host is told of."""
    if FOLDER not in folder_paths.folder_names_and_paths:
        folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / FOLDER))
    return Path(folder_paths.get_folder_paths(FOLDER)[0])


def guide_files(kind: Kind) -> list[str]:
    """Return what the file picker of a kind offers: the embedded network, the files there are."""
    folder()
    files = folder_paths.get_filename_list(FOLDER)
    files = [file for file in files if file.endswith(SUFFIXES)]
    if kind.embedded:
        return [EMBEDDED, *files]
    return files or [NO_FILE]


def present(kind: Kind) -> str | None:
    """The file that is taken where none is chosen: the first of a kind; None if there is none.

    Arguments:
        kind: one whose files can be told by the tensors in them.
    """
    for file in guide_files(kind)[1:]:
        if kind.tensors <= weights.names_in(folder_paths.get_full_path(FOLDER, file)):
            return file
    return None


def absence(kind: Kind) -> str:
    """What to say where no file of a kind is there."""
    return (
        f"expected {kind.called} under models/{FOLDER}, found none: put one there, such as "
        f"{kind.such_as} (more in docs/guide-networks.md), or connect a loader to network"
    )


def load_present(kind: Kind, *, embedded: bool) -> Any:
    """Load the network of a kind that is taken where none is chosen.

    Arguments:
        kind: as for `present`.
        embedded: whether the network is for the embedded model.

    Raises:
        ValueError: there is none under models/guidance.
    """
    file = EMBEDDED if embedded else present(kind)
    if file is None:
        raise ValueError(absence(kind))
    return load(kind, file)


def load(kind: Kind, file: str, *architecture: str) -> Any:
    """Load a network, outside inference mode.

    Arguments:
        kind: kind of the network.
        file: name from the file picker.
        architecture: name of the architecture, "auto" or left out where the file tells.

    Raises:
        ValueError: there is no such file, or it does not fit.
    """
    with torch.inference_mode(False):
        return kind.load(_path_of(kind, file), *architecture)


def labels_of(kind: Kind, file: str, *architecture: str) -> tuple[str, ...]:
    """The labels that a network has, without loading it; none for a kind without labels.

    Arguments:
        kind: kind of the network.
        file: name from the file picker.
        architecture: as for `load`.

    Raises:
        ValueError: the picker does not offer this file, or it cannot be read.
    """
    if kind.labels is None:
        return ()
    if file not in guide_files(kind):
        raise ValueError(f"{file} is no weights file under models/{FOLDER}")
    try:
        return kind.labels(_path_of(kind, file), *architecture)
    except FileNotFoundError as fault:
        raise ValueError(str(fault)) from None


def _path_of(kind: Kind, file: str) -> Path:
    own = kind.embedded and file == EMBEDDED
    path = ASSETS / kind.embedded if own else folder_paths.get_full_path(FOLDER, file)
    if path is None or not Path(path).is_file():
        raise ValueError(
            f"expected a weights file under models/{FOLDER}, got {file}, which is not there: put "
            f"it there or choose one of {', '.join(guide_files(kind))}"
        )
    return Path(path)
