"""Steers the image by optimiser steps on the clean estimate."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.gradients import LOOK_AT
from ...guidance_core.rules.backward import Backward
from ..inputs.faults import AT_ESTIMATE, image_fault
from ..inputs.rule import (
    WHOLE_WINDOW,
    every_input,
    look_input,
    moved_input,
    shared_inputs,
    stop_input,
    timed,
)
from ..inputs.sockets import Rule, Schedule, advanced, schema


class RuleBackward(io.ComfyNode):
    """Steers the image by optimiser steps on the clean estimate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleBackward",
            display_name="Rule: Backward",
            category="guidance/advanced",
            description="Steers the image by a few optimiser steps on the clean estimate. "
            "Cheap: no backward pass through the diffusion model.",
            search_aliases=("universal guidance", "mean guidance", "refine"),
            inputs=[
                *shared_inputs(
                    "How far the estimate may move in all: higher follows the energy more, 0 "
                    "is exactly no guidance. relative: start with 0.5, with polyak 1. "
                    "absolute: factor of the steps, start with 1.",
                    ["relative", "absolute"],
                    "What strength 1 means. relative: the whole move is at most as large as "
                    "the estimated uncertainty of the clean estimate. absolute: the move is "
                    "what the optimiser does, of the size of its learning rate.",
                ),
                io.Int.Input(
                    "steps",
                    default=4,
                    min=1,
                    max=1000,
                    tooltip="Optimiser steps per sampling step: more follow the energy "
                    "further; each costs one decoding and one backward pass of the energy.",
                ),
                io.Combo.Input(
                    "optimiser",
                    options=["adam", "gd", "polyak"],
                    default="adam",
                    tooltip="adam: suits most energies. gd: plain gradient descent. polyak: "
                    "gradient descent whose steps depend on how far the energy is from 0; "
                    "the choice for Energy: Measurement, with strength 1.",
                ),
                advanced(
                    io.Float.Input(
                        "learning_rate",
                        default=0.01,
                        min=0.0001,
                        max=1000.0,
                        step=0.0001,
                        round=0.0001,
                        tooltip="Size of one optimiser step in the absolute scale: higher "
                        "moves further per step and may overshoot. Not used in the relative "
                        "scale.",
                    )
                ),
                stop_input(),
                Schedule.Input(
                    "schedule",
                    optional=True,
                    tooltip="When the rule acts and how strongly, from Guidance Schedule. "
                    "Without one: constant over the first 70 % of the noise schedule, or "
                    "over all of it with polyak, so that a measurement is matched to the end.",
                ),
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
        steps: int,
        optimiser: str,
        learning_rate: float,
        stop: float,
        schedule: Any = None,
        look_at: str = LOOK_AT,
        every: int = 1,
        moved: float = 0.0,
    ) -> io.NodeOutput:
        """Build the rule."""
        when = WHOLE_WINDOW if schedule is None and optimiser == "polyak" else schedule
        rule = Backward(
            energy,
            timed(strength, when, every, moved),
            scale=scale,
            steps=steps,
            optimiser=optimiser,
            lr=learning_rate,
            stop=stop,
            look_at=look_at,
        )
        return io.NodeOutput(rule)
