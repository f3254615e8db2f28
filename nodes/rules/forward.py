"""Gradient through the model: universal guidance."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.rules.forward import Forward
from ..inputs.rule import (
    schedule_input,
    shared_inputs,
    stop_input,
    timed,
)
from ..inputs.sockets import Rule, schema


class RuleForward(io.ComfyNode):
    """Gradient through the model: universal guidance."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleForward",
            display_name="Rule: Forward (through the model)",
            category="guidance/rules",
            description="Forward guidance: the gradient of the energy through the diffusion model "
            "moves every prediction. One more backward pass per step (Universal Guidance, "
            "FreeDoM, DPS).",
            search_aliases=("universal guidance", "classifier guidance", "freedom", "dps"),
            inputs=[
                *shared_inputs(
                    "How hard to push; 0 is exactly no guidance. Relative: 0.5 is a good start, "
                    "above 2 burns. Absolute: the paper's weight, 6 to 20000 in Universal "
                    "Guidance. Cfg: 0.2 in FreeDoM.",
                    ["relative", "cfg", "absolute"],
                    "What strength 1 means. relative: a push as large as the uncertainty left in "
                    "the clean estimate, so the number transfers between energies and models. "
                    "cfg: as large as CFG's own push (FreeDoM, MPGD; needs CFG above 1). "
                    "absolute: the plain gradient (Universal Guidance).",
                ),
                stop_input(),
                schedule_input(),
            ],
            outputs=[Rule.Output(display_name="rule", tooltip="For Apply Guidance.")],
        )

    @classmethod
    def execute(
        cls, energy: Any, strength: float, scale: str, stop: float, schedule: Any = None
    ) -> io.NodeOutput:
        """Build the rule."""
        rule = Forward(energy, timed(strength, schedule), scale=scale, stop=stop)
        return io.NodeOutput(rule)
