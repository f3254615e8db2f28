"""Published methods as settings of the unified rule.

Each has the units of its code in the absolute scale: the factors of rho and mu (`step`), the norm
of a residual where its loss is one (`root`), over all values of images in [-1, 1] where it is
a measurement, of sums over tokens where it is a style (`squared_norm` of the energies).

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
        root: whether log f is minus the norm of a residual.
        step: whose factors rho and mu have in the absolute scale.
    """

    relative: tuple[float, float]
    published: tuple[float, float]
    gamma: float = 0.0
    samples: int = 0
    iterations: int = 1
    course: str = "constant"
    root: bool = False
    step: str = "TFG"

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
            "step": self.step,
        }


PRESETS = {
    # Super-resolution and blur in DPS's configurations; inpainting 0.5, phase retrieval 1.
    "DPS": Preset((1.0, 0.0), (0.3, 0.0), root=True, step="DPS"),
    # Noise as wide as the posterior; 4 draws, the default of TFG's code.
    "LGD": Preset((1.0, 0.0), (1.0, 0.0), gamma=1.0, samples=4),
    # Its faces' parsing; sketches 20, face identity 100. Add recurrences for its time travel.
    "FreeDoM": Preset((1.0, 0.0), (0.2, 0.0), root=True, step="FreeDoM"),
    # Super-resolution and blur in 100 steps; 7.5 in 50, 17.5 in 20.
    "MPGD": Preset((0.0, 1.0), (0.0, 4.0), root=True, step="MPGD"),
    # rho and mu tied, in the step that TFG reads into it; add recurrences for its self-recurrence.
    "universal guidance": Preset((1.0, 1.0), (1.0, 1.0), iterations=4),
    "TFG label": Preset((1.0, 0.5), (2.0, 0.5), 0.1, 1, 4, "increase"),
    "TFG deblur": Preset((0.5, 1.0), (1.0, 8.0), 0.01, 1, 4, "increase", root=True),
    "TFG super-resolution": Preset((1.0, 0.5), (4.0, 2.0), 0.01, 1, 4, "increase", root=True),
    # 0.25 and 2 of its loss, which is a hundredth of the norm.
    "TFG style": Preset((0.5, 1.0), (0.25 / 100, 2.0 / 100), 0.1, 1, 4, "increase", root=True),
}
