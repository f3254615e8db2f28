"""A few optimiser steps on the clean estimate."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.rules.backward import Backward
from ..inputs.rule import (
    WHOLE_WINDOW,
    shared_inputs,
    stop_input,
    timed,
)
from ..inputs.sockets import Rule, Schedule, advanced, schema


class RuleBackward(io.ComfyNode):
    """A few optimiser steps on the clean estimate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleBackward",
            display_name="Rule: Backward (at the estimate)",
            category="guidance/rules",
            description="Backward guidance: a few optimiser steps on the clean estimate itself. "
            "No backward pass through the diffusion model, so it is cheap (Universal Guidance, "
            "TFG's mean guidance).",
            search_aliases=("universal guidance", "mean guidance", "refine"),
            inputs=[
                *shared_inputs(
                    "How far the estimate may move in all; 0 is exactly no guidance. Relative: "
                    "0.5 is a good start. Absolute: factor of the steps taken, 1 in Universal "
                    "Guidance.",
                    ["relative", "absolute"],
                    "What strength 1 means. relative: the whole move is at most as large as the "
                    "uncertainty left in the clean estimate. absolute: whatever the optimiser "
                    "does (Universal Guidance).",
                ),
                io.Int.Input(
                    "steps",
                    default=4,
                    min=1,
                    max=1000,
                    tooltip="Optimiser steps per sampling step, each one decoding and one "
                    "backward pass of the energy. TFG used 4.",
                ),
                io.Combo.Input(
                    "optimiser",
                    options=["adam", "gd", "polyak"],
                    default="adam",
                    tooltip="adam as in Universal Guidance's code, or plain gradient descent as "
                    "in its text. polyak: gradient descent that sizes its own steps by how far "
                    "the energy is from 0, the one for Energy: Measurement; best at strength 1.",
                ),
                advanced(
                    io.Float.Input(
                        "learning_rate",
                        default=0.01,
                        min=0.0001,
                        max=1000.0,
                        step=0.0001,
                        round=0.0001,
                        tooltip="Size of one optimiser step, in the absolute scale only: the "
                        "relative one sizes its steps itself. Universal Guidance: 0.01 with Adam.",
                    )
                ),
                stop_input(),
                Schedule.Input(
                    "schedule",
                    optional=True,
                    tooltip="When the rule acts. Without one: constant over the first 70 % of the "
                    "noise schedule, or over all of it with polyak, so that a measurement is met "
                    "to the last. Universal Guidance used all of it.",
                ),
            ],
            outputs=[Rule.Output(display_name="rule", tooltip="For Apply Guidance.")],
        )

    @classmethod
    def execute(
        cls,
        energy: Any,
        strength: float,
        scale: str,
        steps: int,
        optimiser: str,
        learning_rate: float,
        stop: float,
        schedule: Any = None,
    ) -> io.NodeOutput:
        """Build the rule."""
        when = WHOLE_WINDOW if schedule is None and optimiser == "polyak" else schedule
        rule = Backward(
            energy,
            timed(strength, when),
            scale=scale,
            steps=steps,
            optimiser=optimiser,
            lr=learning_rate,
            stop=stop,
        )
        return io.NodeOutput(rule)
