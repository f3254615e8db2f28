"""What a guided MODEL carries."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...guidance_core.requirements import requirements_of, walk
from ...guidance_core.steering import needs_graph, takes_both
from .latents import looks_at_image


@dataclass(frozen=True, eq=False)
class Guidance:
    """What a guided MODEL carries: rules, the decoder of their energies, and record sinks."""

    rules: tuple[Any, ...]
    decoder: Any = None
    traces: tuple[Callable, ...] = ()

    @functools.cached_property
    def requirements(self) -> Any:
        """Captures, networks and decoding that the energies need."""
        return requirements_of(self.rules)

    @property
    def reader(self) -> Any:
        """The decoder, where an energy looks at the image."""
        return self.decoder if any(map(looks_at_image, self.rules)) else None

    @property
    def projects(self) -> bool:
        """Whether a rule projects by the autoencoder."""
        return any(getattr(rule, "projected", False) for rule in self.rules)

    @property
    def needs_vae(self) -> bool:
        """Whether a rule projects by the autoencoder, or restores what was measured of an image.

        A measurement is met to 40 dB, a small decoder is wrong by more than that.
        """
        parts = (part for rule in self.rules for part in walk(rule))
        return self.projects or any(getattr(part, "linear", None) is not None for part in parts)

    @property
    def graphs(self) -> int:
        """How many branches of CFG carry a graph: none where no rule goes through the model."""
        through = [rule for rule in self.rules if needs_graph(rule)]
        return 2 if any(map(takes_both, through)) else int(bool(through))

    def decoded(self, samples: int) -> int:
        """How many images are decoded at once, for a batch of this many samples."""
        samples = 1 if self.requirements.batch_is_video else samples
        alone = max((getattr(rule, "together", 1) for rule in self.rules), default=1)
        return alone if samples == 1 else samples

    def joined(self, later: Guidance) -> Guidance:
        """Return this guidance and a later one as one: a stack evaluates the model once."""
        return Guidance(
            self.rules + later.rules, later.decoder or self.decoder, self.traces + later.traces
        )
