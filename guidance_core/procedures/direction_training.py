"""Train a direction in h-space by what a CLIP model sees change.

References:
    Diffusion Models already have a Semantic Latent Space (Asyrp), Kwon et al. 2023,
    arXiv:2210.10960, equation 7 and its code: -log((2 - L_dir) / 2) of the directional loss, and
    the mean absolute change of the image.
    StyleGAN-NADA, Gal et al. 2021, arXiv:2108.00946, equation 2 (directional CLIP loss).
    Deviates: Adam; sentences of a side are averaged; the change is that of the decoded image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..image.clip_views import check_clip
from ..networks.hspace import ShiftNetwork
from ..process import full_precision
from ..types import Estimate
from . import checkpoints

LEAST = 1e-3


@dataclass(frozen=True)
class DirectionalClip:
    """How far an edit of images is from what two lists of sentences differ by.

    Arguments:
        network: a CLIP model.
        source: sentences of what is there.
        target: sentences of what it should become.
        keep: weight of the mean absolute change of the image, in units of [0, 1].

    Raises:
        TypeError: a network without encode_text.
    """

    network: Any
    source: tuple[str, ...]
    target: tuple[str, ...]
    keep: float = 1.0
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_clip(self.network, "training")

    @cached_property
    def asked(self) -> Tensor:
        """Difference of the mean embeddings of target and source, shape (1, D)."""
        with torch.no_grad():
            sides = (self.network.encode_text(list(side)) for side in (self.source, self.target))
            before, after = (full_precision(side).mean(0, keepdim=True) for side in sides)
        return after - before

    def __call__(self, edited: Estimate, plain: Estimate) -> Tensor:
        """Loss of each sample, shape (B,)."""
        with torch.no_grad():
            before, image = self._seen(plain), full_precision(plain.image)
        change = self._seen(edited) - before
        apart = 1 - F.cosine_similarity(change, self.asked.to(change), eps=LEAST)
        near = -((2 - apart).clamp_min(LEAST) / 2).log()
        drift = (full_precision(edited.image) - image).abs().flatten(1).mean(1)
        return near + self.keep * drift

    def _seen(self, estimate: Estimate) -> Tensor:
        embedding: Tensor = estimate.image_through(self.network.encode_image)
        return full_precision(embedding)


class DirectionTraining:
    """A direction on its way: its network, its optimiser, and how many runs it has seen.

    Arguments:
        channels: of h.
        rate: learning rate; it falls to 0 on a line over the runs.
        device: where it is trained.
    """

    def __init__(self, channels: int, rate: float, device: Any = "cpu") -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network: Any = ShiftNetwork(channels)
        self.network: ShiftNetwork = network.to(device)
        self.runs, self.rate = 0, rate
        self.losses: list[float] = []
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=rate)

    def __deepcopy__(self, memo: dict[int, Any]) -> DirectionTraining:
        """The training itself: runs copy their rules, and go on with the same network."""
        return self

    def shift(self, h: Tensor, sigma: float) -> Tensor:
        """Shift of h (B, C, h, w) at a noise level, of the same shape."""
        return self.network(h.float(), sigma).to(h)  # type: ignore[no-any-return]

    def pace(self, whole: int) -> None:
        """Set the learning rate of a run, of so many in all."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.rate * (1 - self.runs / whole)

    def step(self, loss: Tensor) -> None:
        """One step down the mean of losses (B,); one that is not finite is left out."""
        mean = loss.mean()
        self._optimiser.zero_grad()
        if not mean.isfinite():
            return
        mean.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self.losses.append(float(mean.detach()))

    def save(self, path: Path) -> None:
        """Write all that is needed to go on, whole or not at all."""
        parts = {"network": self.network, "optimiser": self._optimiser}
        checkpoints.save(path, runs=self.runs, losses=self.losses, **parts)

    def resume(self, path: Path) -> bool:
        """Go on from what was written, if it was. Whether it was."""
        state = checkpoints.resume(path, network=self.network, optimiser=self._optimiser)
        self.runs, self.losses = state.get("runs", self.runs), state.get("losses", self.losses)
        return bool(state)
