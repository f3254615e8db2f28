"""Moves the noisy latent before each sampling step."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.gradients import LOOK_AT
from ...guidance_core.rules.latent_update import LatentUpdate
from ...guidance_core.schedules import thresholds_from
from ..inputs.energy import fault_of
from ..inputs.rule import (
    EARLY_WINDOW,
    depth_input,
    every_input,
    look_input,
    moved_input,
    shared_inputs,
    stop_input,
    timed,
)
from ..inputs.sockets import Rule, Schedule, advanced, schema


class RuleLatentUpdate(io.ComfyNode):
    """Moves the noisy latent before each sampling step."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleLatentUpdate",
            display_name="Rule: Latent Update",
            category="guidance/advanced",
            description="Moves the noisy latent before each sampling step, then lets the "
            "model look again: for objects that are missing or in the wrong place. Costs one "
            "more evaluation of the model per iteration; best with euler or ddim.",
            search_aliases=("attend and excite", "boxdiff", "layout guidance", "refinement"),
            inputs=[
                *shared_inputs(
                    "How far the latent moves: higher follows the energy more, 0 is exactly "
                    "no guidance. relative: start with 0.5. absolute: start with the "
                    "published value of the method, see the help page.",
                    ["relative", "absolute"],
                    "What strength 1 means. relative: the latent moves in proportion to "
                    "the noise that the sampling step takes away, so one number suits every "
                    "model and number of steps. absolute: the plain gradient for a latent of "
                    "unit variance, at every step.",
                ),
                io.Int.Input(
                    "iterations",
                    default=1,
                    min=1,
                    max=100,
                    tooltip="Moves per sampling step at most: more follow the energy "
                    "further, until stop is reached; each costs one more evaluation and "
                    "backward pass of the model.",
                ),
                stop_input(),
                every_input(optional=False),
                Schedule.Input(
                    "schedule",
                    optional=True,
                    tooltip="When the rule acts and how strongly, from Guidance Schedule. "
                    "Without one: constant over the first half of the noise schedule.",
                ),
                look_input(),
                moved_input(),
                depth_input(),
                *cls._refinement(),
            ],
            outputs=[Rule.Output(display_name="rule", tooltip="For Apply Guidance.")],
        )

    @classmethod
    def _refinement(cls) -> list[io.Input]:
        """Thresholds and rounds; optional, because workflows of earlier versions lack them."""
        return [
            advanced(
                io.String.Input(
                    "thresholds",
                    default="",
                    optional=True,
                    tooltip="Energies to be reached at some steps, as position:energy with commas, "
                    "such as 0:0.95, 0.2:0.5, 0.4:0.2; positions from 0 (pure noise) to 1, inside "
                    "the schedule. The first step from there on moves the latent until an image "
                    "is at its threshold, in place of iterations. Empty: none.",
                )
            ),
            advanced(
                io.Int.Input(
                    "rounds",
                    default=20,
                    min=1,
                    max=1000,
                    optional=True,
                    tooltip="Moves at most at a step with a threshold; each costs one evaluation "
                    "and backward pass of the positive prompt.",
                )
            ),
        ]

    @classmethod
    def validate_inputs(cls, thresholds: str | None = None) -> bool | str:
        """Refuse thresholds that are none when the workflow is queued."""
        return (thresholds and fault_of(thresholds_from, thresholds)) or True

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
        look_at: str = LOOK_AT,
        moved: float = 0.0,
        depth: float = 1.0,
        thresholds: str = "",
        rounds: int = 20,
    ) -> io.NodeOutput:
        """Build the rule."""
        when = EARLY_WINDOW if schedule is None else schedule
        rule = LatentUpdate(
            energy,
            timed(strength, when, every, moved),
            scale,
            iterations=iterations,
            stop=stop,
            look_at=look_at,
            depth=depth,
            thresholds=thresholds_from(thresholds),
            rounds=rounds,
        )
        return io.NodeOutput(rule)
