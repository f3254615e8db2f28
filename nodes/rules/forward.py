"""Steers the image by the gradient through the diffusion model."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.gradients import LOOK_AT
from ...guidance_core.rules.forward import Forward
from ..inputs.rule import (
    WHOLE_WINDOW,
    depth_input,
    every_input,
    look_input,
    moved_input,
    schedule_input,
    shared_inputs,
    stop_input,
    timed,
)
from ..inputs.sockets import Rule, schema


class RuleForward(io.ComfyNode):
    """Steers the image by the gradient through the diffusion model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleForward",
            display_name="Rule: Forward",
            category="guidance/advanced",
            description="Steers the image by the gradient of the energy through the "
            "diffusion model, so that changes stay within what the model can make. Costs one "
            "more backward pass per step.",
            search_aliases=("universal guidance", "classifier guidance", "freedom", "dps"),
            inputs=[
                *shared_inputs(
                    "Size of each step: higher follows the energy more, 0 is exactly no "
                    "guidance. relative: start with 0.5; above 2 texture burns in. calibrated: 1. "
                    "cfg and absolute: see the published values on the help page.",
                    ["relative", "cfg", "absolute", "calibrated"],
                    "What strength 1 means. relative: a step as large as the estimated "
                    "uncertainty of the clean estimate, so one number suits every energy and "
                    "model. cfg: a step as large as that of classifier-free guidance (needs "
                    "CFG above 1). absolute: the plain gradient. calibrated: just as far as the "
                    "energy, taken as a negative log-probability, makes likely: for a label, or a "
                    "measurement with its noise, over the whole noise schedule unless a schedule "
                    "is connected. Costs up to 16 evaluations of the energy per step.",
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
        stop: float,
        schedule: Any = None,
        look_at: str = LOOK_AT,
        every: int = 1,
        moved: float = 0.0,
        depth: float = 1.0,
    ) -> io.NodeOutput:
        """Build the rule."""
        whole = schedule is None and scale == "calibrated"  # half a likelihood is no posterior
        when = timed(strength, WHOLE_WINDOW if whole else schedule, every, moved)
        rule = Forward(energy, when, scale=scale, stop=stop, look_at=look_at, depth=depth)
        return io.NodeOutput(rule)
