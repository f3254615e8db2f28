"""Read the weights of a guide network from a local file, safely."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..process import lengths


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """State dict (float32 where floating) and metadata of a .safetensors, .pt, .pth or .bin file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read as plain tensors; one that holds code is refused.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a weights file, found none at {path}: check the name")
    try:
        state, metadata = (
            _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
        )
    except Exception as error:
        raise ValueError(
            f"{path.name} could not be read as plain weights ({error}): expected a .safetensors "
            "or PyTorch file that holds tensors only. Download it again or convert it"
        ) from error
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}, metadata


def write(state: Mapping[str, Tensor], path: Path, entry: str, told: Any) -> None:
    """Write tensors as .safetensors, whole or not at all; equal ones give equal bytes.

    Arguments:
        state: tensors by name.
        path: of the file; its folder is made.
        entry: the one entry of its metadata. Several come in another order each time.
        told: what stands there, as JSON.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    whole = {name: value.contiguous().cpu() for name, value in state.items()}
    save_file(whole, temporary, metadata={entry: json.dumps(told)})
    temporary.replace(path)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safetensors.safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


def _read_torch(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    for wrapper in ("state_dict", "model"):
        state = state.get(wrapper, state)
    return {key.removeprefix("module."): value for key, value in state.items()}, {}


def names_in(path: str | Path) -> frozenset[str]:
    """Names of the tensors in a .safetensors file, from its header; none where it has none."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            return frozenset(file.keys())
    except (OSError, safetensors.SafetensorError):
        return frozenset()


def metadata_of(path: str | Path) -> dict[str, str]:
    """Metadata of a .safetensors file, from its header; none where it has none."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            return file.metadata() or {}
    except (OSError, safetensors.SafetensorError):
        return {}


def outline(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What `read` gives, with tensors on the meta device: names, shapes and metadata alone.

    Of a .safetensors file only the header is read.

    Raises:
        FileNotFoundError, ValueError: as `read`.
    """
    if Path(path).suffix != ".safetensors":
        state, metadata = read(path)
        return {key: value.to("meta") for key, value in state.items()}, metadata
    if not Path(path).is_file():
        raise FileNotFoundError(f"expected a weights file, found none at {path}: check the name")
    try:
        with safetensors.safe_open(path, "pt") as file:
            shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise ValueError(f"{Path(path).name} could not be read as plain weights") from error
    return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}, metadata


def fill(network: nn.Module, state: dict[str, Tensor], name: str) -> nn.Module:
    """Load `state` into `network` and freeze it.

    Raises:
        ValueError: keys or shapes differ; the message names up to three of each.
    """
    have = {key: lengths(value) for key, value in network.state_dict().items()}
    came = {key: lengths(value) for key, value in state.items()}
    wrong = [f"{k} is {came[k]}, not {have[k]}" for k in have if k in came and came[k] != have[k]]
    if have.keys() != came.keys() or wrong:
        raise ValueError(
            f"{name} does not fit the architecture: missing {_some(have.keys() - came.keys())}; "
            f"unexpected {_some(came.keys() - have.keys())}; shapes {_some(wrong)}. "
            "Choose the architecture that the file was made for"
        )
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def recognise(
    state: dict[str, Tensor],
    candidates: Iterable[str],
    build: Callable[[str], nn.Module],
    name: str,
) -> str:
    """The first candidate whose keys and shapes are those of `state`.

    Raises:
        ValueError: none fits.
    """
    shapes = {key: value.shape for key, value in state.items()}
    for candidate in candidates:
        with torch.device("meta"):
            network = build(candidate)
        if {key: value.shape for key, value in network.state_dict().items()} == shapes:
            return candidate
    raise ValueError(
        f"{name} fits none of the architectures that are recognised by themselves "
        f"({', '.join(candidates)}): choose its architecture in the loader"
    )


def read_card(metadata: dict[str, str], name: str) -> dict[str, Any] | None:
    """The `energy_guidance` entry of a file's metadata, which describes its network."""
    if "energy_guidance" not in metadata:
        return None
    try:
        return json.loads(metadata["energy_guidance"])
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}: its energy_guidance metadata is not JSON ({error})") from error


def _some(names: Iterable[str]) -> str:
    first = sorted(names)[:3]
    return ", ".join(first) or "none"
