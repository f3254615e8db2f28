"""A guider whose classifier-free guidance acts inside a window of the noise schedule."""

from __future__ import annotations

from typing import Any

import comfy.samplers
from torch import Tensor

from ...guidance_core.schedules import PercentWindow


class WindowedCFGGuider(comfy.samplers.CFGGuider):
    """The host's CFGGuider, with its scale inside a window and the conditional estimate outside.

    Outside the negative branch is not evaluated, unless a pack asks for it at CFG 1
    (disable_cfg1_optimization).

    References:
        Applying Guidance in a Limited Interval, Kynkaanniemi et al. 2024, arXiv:2404.07724.

    Arguments:
        model: MODEL, guided or not.
        window: where the scale acts.
    """

    cfg: float

    def __init__(self, model: Any, window: PercentWindow) -> None:
        super().__init__(model)
        percent_to_sigma = model.get_model_object("model_sampling").percent_to_sigma
        self._strength = window.on(lambda percent: float(percent_to_sigma(percent)))

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: dict | None = None, seed: Any = None
    ) -> Any:
        """Return x0 (B, C, *S) at x and at noise levels of shape (B,)."""
        whole = self.cfg
        self.cfg = whole if self._strength(float(timestep.flatten()[0])) else 1.0
        try:
            return super().predict_noise(x, timestep, model_options or {}, seed)
        finally:
            self.cfg = whole


def cfg_guider(
    model: Any, positive: Any, negative: Any, gamma: float, window: PercentWindow
) -> WindowedCFGGuider:
    """Return a GUIDER of two prompts with the host's CFG `gamma` inside a window."""
    guider = WindowedCFGGuider(model, window)
    guider.set_conds(positive, negative)
    guider.set_cfg(gamma)
    return guider
