"""Steers the image by one gradient step on the clean estimate: MPGD."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.gradients import LOOK_AT
from ...guidance_core.rules.manifold import Manifold
from ..inputs.faults import AT_ESTIMATE, image_fault
from ..inputs.rule import (
    ONE_STEP_TIP,
    every_input,
    look_input,
    moved_input,
    schedule_input,
    shared_inputs,
    stop_input,
    timed,
)
from ..inputs.sockets import Rule, advanced, schema


class RuleManifold(io.ComfyNode):
    """Steers the image by one gradient step on the clean estimate: MPGD."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleManifold",
            display_name="Rule: Manifold",
            category="guidance/advanced",
            description="Steers the image by one gradient step on the clean estimate: the "
            "cheapest rule, with no backward pass through the diffusion model. Refuses "
            "energies that read attention.",
            search_aliases=("mpgd", "manifold preserving guidance", "mean guidance"),
            inputs=[
                *shared_inputs(
                    "Size of each step: higher follows the energy more, 0 is exactly no "
                    "guidance. relative: start with 0.5 to 1. absolute: depends on the "
                    "energy and on the number of sampling steps, see the help page.",
                    ["relative", "cfg", "absolute"],
                    "What strength 1 means. relative: a step as large as the estimated "
                    "uncertainty of the clean estimate; suits every sampler. cfg: a step as "
                    "large as that of classifier-free guidance (needs CFG above 1). "
                    "absolute: the plain gradient; needs " + ONE_STEP_TIP,
                ),
                advanced(
                    io.Boolean.Input(
                        "projected",
                        default=False,
                        tooltip="On: the image is encoded and decoded once more before the "
                        "energy sees it (MPGD-AE), which keeps changes to what the "
                        "autoencoder can show. Needs a VAE; costs one more encoding and "
                        "decoding.",
                    )
                ),
                stop_input(),
                schedule_input(),
                look_input(),
                every_input(),
                moved_input(),
            ],
            outputs=[Rule.Output(display_name="rule", tooltip="For Apply Guidance.")],
        )

    @classmethod
    def validate_inputs(cls, energy: None = None) -> bool | str:
        """Refuse an energy that looks inside the model when the workflow is queued."""
        return image_fault("energy", *AT_ESTIMATE) or True

    @classmethod
    def execute(
        cls,
        energy: Any,
        strength: float,
        scale: str,
        projected: bool,
        stop: float,
        schedule: Any = None,
        look_at: str = LOOK_AT,
        every: int = 1,
        moved: float = 0.0,
    ) -> io.NodeOutput:
        """Build the rule."""
        strengths = timed(strength, schedule, every, moved)
        return io.NodeOutput(
            Manifold(
                energy, strengths, scale=scale, stop=stop, projected=projected, look_at=look_at
            )
        )
