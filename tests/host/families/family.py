"""A tiny model of a family of models, with random weights, and what sampling it takes."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import comfy.model_base
import comfy.supported_models
import torch
from energy_guidance.tests.host import tiny


def draw(seed: int, *shape: int) -> torch.Tensor:
    """Numbers that are the same for a seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def known_by(taker: Callable, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without those that this host's class does not know yet.

    Those of LTX-2's connectors are read from what it takes besides.
    """
    names = {"image_model", *inspect.signature(taker).parameters}
    known = lambda name: name in names or ("kwargs" in names and "connector" in name)
    return {name: value for name, value in settings.items() if known(name)}


def nothing(seed: int) -> dict[str, Any]:
    """What the conditioning of most families holds beside text."""
    return {}


@dataclass(frozen=True)
class Family:
    """A tiny model of a family, made of the host's own classes.

    Arguments:
        config: the host's configuration, of comfy.supported_models.
        base: the host's model, of comfy.model_base, or what makes it of the configuration.
        settings: of its network.
        latent: shape without the batch: (C, h, w), with frames (C, T, h, w), of audio (C, T).
        width: of its text states.
        length: how many text states there are.
        pooled: width of its pooled text, where it has one.
        conds: what else its conditioning holds, for a seed.
        wide: a shape that is not square.
        frames: how many frames its latents may have, where they have frames.
        extra: settings that only the configuration reads.
        kwargs: what the host's model takes beside the configuration.
        sound: shape of the sound that is sampled with a video, (C, ...).
        is_video: the batch is the frames of one video.
        after: what is still to do to the host's model.
    """

    config: str
    base: str | Callable
    settings: dict
    latent: tuple[int, ...]
    width: int = 32
    length: int = 7
    pooled: int | None = None
    conds: Callable[[int], dict] = nothing
    wide: tuple[int, ...] | None = None
    frames: tuple[int, ...] = (1, 3)
    extra: dict = field(default_factory=dict)
    kwargs: dict = field(default_factory=dict)
    sound: tuple[int, ...] | None = None
    is_video: bool = False
    after: Callable[[Any], None] | None = None

    @property
    def is_known(self) -> bool:
        """Whether the host has this family."""
        return hasattr(comfy.supported_models, self.config)

    def model(
        self, dtype: torch.dtype = torch.float32, cast: torch.dtype | None = None, **changes: Any
    ) -> Any:
        """A MODEL that was loaded under inference mode; changes are of its network's settings.

        Arguments:
            dtype: of the weights.
            cast: what the host casts them to, layer by layer.
            changes: settings that differ.
        """
        base = getattr(comfy.model_base, self.base) if isinstance(self.base, str) else self.base
        with torch.inference_mode():
            config = getattr(comfy.supported_models, self.config)({**self.settings, **changes})
            config.unet_config.update(self.extra)
            config.set_inference_dtype(dtype, cast)
            model = base(config, **self.kwargs)
            tiny._filled(model.diffusion_model)
            for buffer in model.diffusion_model.buffers():
                if buffer.dtype.is_floating_point and not torch.isfinite(buffer.float()).all():
                    buffer.zero_()
            if self.after is not None:
                self.after(model)
            model.eval()
        return tiny.patcher(model)

    def with_sound(self, latent: torch.Tensor) -> Any:
        """A latent, and that of silence beside it where the model samples both in one."""
        if self.sound is None:
            return latent
        sound = torch.zeros(len(latent), *self.sound)
        return importlib.import_module("comfy.nested_tensor").NestedTensor([latent, sound])

    @torch.inference_mode()
    def cond(self, seed: int) -> list[Any]:
        """CONDITIONING, as a text encoder makes it."""
        pooled = {} if self.pooled is None else {"pooled_output": torch.ones(1, self.pooled)}
        return [[draw(seed, 1, self.length, self.width), {**pooled, **self.conds(seed)}]]

    def options(self, batch: int = 1, shape: tuple[int, ...] | None = None) -> dict[str, Any]:
        """What tiny.sample needs."""
        count = 3 if self.is_video else batch
        latent = self.with_sound(torch.zeros(count, *(shape or self.latent)))
        return {"latent": latent, "positive": self.cond(1), "negative": self.cond(2)}
