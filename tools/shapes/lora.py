"""Changes of low rank to a U-Net: learned, written to a LoRA file, read from one, and added.

Files have the layout of kohya's trainer, which ComfyUI's LoRA loaders read: of each layer
`lora_unet_NAME.lora_up.weight`, `.lora_down.weight` and `.alpha`.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

RANK = 16
# Left as they are: the first and last layer, and what reads the time.
SPARED = ("conv_in", "conv_out", "time_emb")


class LowRank(nn.Module):
    """A weight and what is added to it: up @ down, of rank RANK at most; at first nothing."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        rank = min(RANK, rows, columns)
        self.kernel = weight.shape[1:]
        self.down = nn.Parameter(torch.randn(rank, columns) / math.sqrt(columns))
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The changed weight."""
        return weight + (self.up @ self.down).view_as(weight)


def key(name: str) -> str:
    """What a layer is called in a file, from its name in diffusers."""
    return "lora_unet_" + name.replace(".", "_")


def adapted(unet: UNet2DConditionModel) -> nn.ModuleDict:
    """Give the U-Net's layers something of low rank to learn; by their names in a file."""
    added = {}
    for name, layer in list(unet.named_modules()):
        spared = any(part in name for part in SPARED)
        if isinstance(layer, nn.Linear | nn.Conv2d) and not spared:
            parametrize.register_parametrization(layer, "weight", LowRank(layer.weight))
            added[key(name)] = layer.parametrizations.weight[0]
    return nn.ModuleDict(added)


def write(added: nn.ModuleDict, path: Path) -> None:
    """Write what was learned; matrices of convolutions in the shape of theirs."""
    state = {}
    for name, layer in added.items():
        rank = len(layer.down)
        state[f"{name}.lora_down.weight"] = layer.down.view(rank, *layer.kernel)
        state[f"{name}.lora_up.weight"] = layer.up.view(-1, rank, *(1 for _ in layer.kernel[1:]))
        state[f"{name}.alpha"] = torch.tensor(float(rank))
    halved = {name: value.detach().half().contiguous() for name, value in state.items()}
    save_file(halved, path, metadata={"format": "pt"})


def read(added: nn.ModuleDict, path: Path) -> None:
    """Continue from a file."""
    state = load_file(path)
    with torch.no_grad():
        for name, layer in added.items():
            layer.down.copy_(state[f"{name}.lora_down.weight"].flatten(1))
            layer.up.copy_(state[f"{name}.lora_up.weight"].flatten(1))


def merged(unet: UNet2DConditionModel, path: Path) -> UNet2DConditionModel:
    """A U-Net with a file's changes added; the one given stays as it is."""
    state, unet = load_file(path), copy.deepcopy(unet)
    for name, layer in unet.named_modules():
        own = key(name)
        if f"{own}.alpha" not in state:
            continue
        up, down = (state[f"{own}.lora_{end}.weight"].float().flatten(1) for end in ("up", "down"))
        scale = float(state[f"{own}.alpha"]) / len(down)
        layer.weight.data += scale * (up @ down).view_as(layer.weight).to(layer.weight)
    return unet
