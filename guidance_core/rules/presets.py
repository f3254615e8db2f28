"""Published methods as settings of the unified rule.

References:
    TFG, Ye et al. 2024, arXiv:2409.15761: which rho, mu and gamma each method is, its own
    values from its released scripts; the others' own step sizes from their released code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """One method.

    Arguments:
        relative: rho and mu where steps are sized by the noise level or by CFG: what the method
            does, with its larger step at 1; not tuned task by task.
        published: rho and mu of the absolute scale.
        gamma: width of the smoothing.
        samples: draws of the smoothing.
        iterations: steps of mean guidance.
        course: how rho and mu follow the run.
        root: whether log f is the norm of a residual.
    """

    relative: tuple[float, float]
    published: tuple[float, float]
    gamma: float = 0.0
    samples: int = 0
    iterations: int = 1
    course: str = "constant"
    root: bool = False

    def settings(self, scale: str) -> dict[str, Any]:
        """Keyword arguments of `Unified`, besides the energy and the strength."""
        rho, mu = self.published if scale == "absolute" else self.relative
        return {
            "scale": scale,
            "rho": rho,
            "mu": mu,
            "gamma": self.gamma,
            "samples": self.samples,
            "iterations": self.iterations,
            "course": self.course,
            "root": self.root,
        }


PRESETS = {
    # Super-resolution and blur in DPS's configurations; inpainting 0.5, phase retrieval 1.
    "DPS": Preset((1.0, 0.0), (0.3, 0.0), root=True),
    # Noise as wide as the posterior; 4 draws, the default of TFG's code.
    "LGD": Preset((1.0, 0.0), (1.0, 0.0), gamma=1.0, samples=4),
    # Its faces' parsing; add recurrences for its time travel.
    "FreeDoM": Preset((1.0, 0.0), (0.2, 0.0), root=True),
    # Super-resolution and blur in 100 steps.
    "MPGD": Preset((0.0, 1.0), (0.0, 4.0), root=True),
    # rho and mu tied, as TFG reads it; add recurrences for its self-recurrence.
    "universal guidance": Preset((1.0, 1.0), (1.0, 1.0), iterations=4),
    "TFG label": Preset((1.0, 0.5), (2.0, 0.5), 0.1, 1, 4, "increase"),
    "TFG deblur": Preset((0.5, 1.0), (1.0, 8.0), 0.01, 1, 4, "increase", root=True),
    "TFG super-resolution": Preset((1.0, 0.5), (4.0, 2.0), 0.01, 1, 4, "increase", root=True),
    "TFG style": Preset((0.5, 1.0), (0.25, 2.0), 0.1, 1, 4, "increase", root=True),
}
