"""The noisy latent moves before the model's step."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.rules.latent_update import LatentUpdate
from ..inputs.rule import (
    EARLY_WINDOW,
    shared_inputs,
    stop_input,
    timed,
)
from ..inputs.sockets import Rule, Schedule, advanced, schema


class RuleLatentUpdate(io.ComfyNode):
    """The noisy latent moves before the model's step."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleLatentUpdate",
            display_name="Rule: Latent Update (before the step)",
            category="guidance/rules",
            description="Moves the noisy latent itself down its energy, then lets the model look "
            "again: the rule of Attend-and-Excite, BoxDiff, layout guidance and Pix2Pix-Zero. One "
            "more evaluation of the model per iteration; best with euler or ddim.",
            search_aliases=("attend and excite", "boxdiff", "layout guidance", "refinement"),
            inputs=[
                *shared_inputs(
                    "How far to move; 0 is exactly no guidance. Relative: 0.5 is a good start. "
                    "Absolute: the paper's step, 20 in Attend-and-Excite and BoxDiff, 0.1 in "
                    "Pix2Pix-Zero.",
                    ["relative", "absolute"],
                    "What strength 1 means. relative: the clean part of the latent moves by the "
                    "uncertainty left in it, so the number transfers. absolute: the plain gradient "
                    "for a latent of unit variance, as published for SD.",
                ),
                io.Int.Input(
                    "iterations",
                    default=1,
                    min=1,
                    max=100,
                    tooltip="Moves per step at most, each with one more evaluation and backward "
                    "pass; more than 1 refine until 'stop' is reached. Attend-and-Excite: 1, and "
                    "20 at three steps; layout guidance 5.",
                ),
                stop_input(),
                advanced(
                    io.Int.Input(
                        "every",
                        default=1,
                        min=1,
                        max=100,
                        tooltip="Act at every n-th step only: 2 is every other step, as late in "
                        "Self-Guidance.",
                    )
                ),
                Schedule.Input(
                    "schedule",
                    optional=True,
                    tooltip="When the rule acts. Without one: the first half of the noise "
                    "schedule, as in Attend-and-Excite and BoxDiff.",
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
        iterations: int,
        stop: float,
        every: int,
        schedule: Any = None,
    ) -> io.NodeOutput:
        """Build the rule."""
        when = EARLY_WINDOW if schedule is None else schedule
        rule = LatentUpdate(
            energy, timed(strength, when), scale, iterations=iterations, stop=stop, every=every
        )
        return io.NodeOutput(rule)
