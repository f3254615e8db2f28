"""Tells noised scenes from noised estimates, by what the frozen U-Net makes of them.

Sauer et al. 2024, arXiv:2403.12015: small heads on the features of the diffusion model itself,
which already see shapes and colours, and read the caption. Here on the half of the U-Net that
leads down.
"""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from tools.diffusers_host import LEVELS

WIDTH = 96


class Critic(nn.Module):
    """Heads on features of a U-Net, which is no part of it: higher is more like a scene.

    Arguments:
        unet: frozen; its features are judged.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        widths = unet.config.block_out_channels
        self._unet = (unet,)  # in a tuple, so that its weights are not the critic's
        self.heads = nn.ModuleList(_head(channels) for channels in (*widths, widths[-1]))

    def features(self, x: Tensor, sigma: Tensor, states: Tensor) -> list[Tensor]:
        """Features of x (B, 4, h, w) at noise levels (B,) under text states (B, 77, 64)."""
        (unet,) = self._unet
        x = x / (sigma.square() + 1).sqrt().view(-1, 1, 1, 1)
        time = unet.time_embedding(unet.time_proj(LEVELS.timestep(sigma)).to(x))
        given = {"temb": time, "encoder_hidden_states": states}
        x, found = unet.conv_in(x), []
        for block in unet.down_blocks:
            x, passed = block(x, **given)
            found.append(passed[0])
        return [*found, unet.mid_block(x, **given)]

    def forward(self, features: list[Tensor]) -> Tensor:
        """One number for each place of each feature map: (B, N)."""
        pairs = zip(self.heads, features, strict=True)
        return torch.cat([head(one.float()).flatten(1) for head, one in pairs], 1)


def _head(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, WIDTH, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(WIDTH, 1, 1),
    )
