"""The transformer of Shapes: FLUX's, small, as its training and its evaluation see it."""

from __future__ import annotations

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn

# Tokens of a text, in place of CLIP's 77: 60 tokens of padding would cost more than the image.
TEXT = 20
PATCH = 2
HEADS, HEAD = 5, 32


class Joint(nn.Module):
    """FLUX's transformer, small: (latents, t, states of the text) -> velocity."""

    def __init__(self) -> None:
        super().__init__()
        self.net = FluxTransformer2DModel(
            in_channels=4 * PATCH**2,
            num_layers=2,
            num_single_layers=3,
            attention_head_dim=HEAD,
            num_attention_heads=HEADS,
            joint_attention_dim=64,
            pooled_projection_dim=64,
            axes_dims_rope=(8, 12, 12),
        )
        places = torch.arange(16 // PATCH)
        grid = torch.stack(torch.meshgrid(places, places, indexing="ij"), -1).view(-1, 2)
        self.register_buffer("places", nn.functional.pad(grid, (1, 0)).float(), persistent=False)

    def forward(self, x: Tensor, t: Tensor, states: Tensor) -> Tensor:
        """Velocity (B, 4, 16, 16) of `x` at `t` (B,) in [0, 1].

        FLUX sees a text also as one vector. Here it is zero, so that words act through attention.
        """
        patches = nn.functional.pixel_unshuffle(x, PATCH).flatten(2).transpose(1, 2)
        out = self.net(
            patches,
            states,
            states.new_zeros(len(x), 64),
            t,
            self.places,
            states.new_zeros(states.shape[1], 3),
            return_dict=False,
        )[0]
        return nn.functional.pixel_shuffle(out.transpose(1, 2).unflatten(2, (8, 8)), PATCH)


@torch.no_grad()
def painted(model: Joint, states: Tensor, seed: int, steps: int = 20) -> Tensor:
    """Latents (B, 4, 16, 16) of texts, states (B, TEXT, 64): Euler steps, evenly from t = 1."""
    x = torch.randn(len(states), 4, 16, 16, generator=torch.Generator().manual_seed(seed))
    levels = torch.linspace(1, 0, steps + 1)
    for t, following in zip(levels[:-1], levels[1:], strict=True):
        x = x + (following - t) * model(x, t.expand(len(x)), states)
    return x
