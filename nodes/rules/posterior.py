"""Moves the latent after each sampling step: DPS, FreeDoM, DSG."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.gradients import LOOK_AT
from ...guidance_core.rules.posterior import Posterior
from ..inputs.rule import (
    ONE_STEP_TIP,
    depth_input,
    every_input,
    look_input,
    moved_input,
    schedule_input,
    shared_inputs,
    stop_input,
    timed,
)
from ..inputs.sockets import Rule, advanced, schema


class RulePosterior(io.ComfyNode):
    """Moves the latent after each sampling step: DPS, FreeDoM, DSG."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRulePosterior",
            display_name="Rule: Posterior",
            category="guidance/advanced",
            description="Steers the image by moving the latent after each sampling step, "
            "along the gradient through the diffusion model. Costs one more backward pass "
            "per step.",
            search_aliases=("dps", "diffusion posterior sampling", "freedom", "dsg", "spherical"),
            inputs=[
                *shared_inputs(
                    "Size of each step: higher follows the energy more, 0 is exactly no "
                    "guidance. relative: start with 0.5. spherical: 0 to 1, start with 0.1. "
                    "absolute: depends on the energy, see the help page.",
                    ["relative", "cfg", "absolute", "spherical"],
                    "What strength 1 means. relative: a step as large as the estimated "
                    "uncertainty of the clean estimate; the same as Rule: Forward. cfg: a "
                    "step as large as that of classifier-free guidance (needs CFG above 1). "
                    "spherical: the gradient takes the place of the noise of an ancestral "
                    "step, wholly at 1 (DSG); needs euler or ddim. absolute: the gradient as "
                    "published; needs " + ONE_STEP_TIP,
                ),
                advanced(
                    io.Boolean.Input(
                        "residual_norm",
                        default=True,
                        tooltip="In the absolute scale. On: follows the square root of the "
                        "energy, for energies that are a squared distance. Off: follows the "
                        "energy itself, for energies that are a log-probability, such as a "
                        "class.",
                    )
                ),
                stop_input(),
                schedule_input(),
                look_input(),
                every_input(),
                moved_input(),
                depth_input(),
            ],
            outputs=[Rule.Output(display_name="rule", tooltip="For Apply Guidance.")],
        )

    @classmethod
    def execute(
        cls,
        energy: Any,
        strength: float,
        scale: str,
        residual_norm: bool,
        stop: float,
        schedule: Any = None,
        look_at: str = LOOK_AT,
        every: int = 1,
        moved: float = 0.0,
        depth: float = 1.0,
    ) -> io.NodeOutput:
        """Build the rule."""
        strengths = timed(strength, schedule, every, moved)
        return io.NodeOutput(
            Posterior(
                energy,
                strengths,
                scale=scale,
                root=residual_norm,
                stop=stop,
                look_at=look_at,
                depth=depth,
            )
        )
