"""Nodes that say how an energy steers the sampler."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..guidance_core.rules.backward import Backward
from ..guidance_core.rules.forward import Forward
from ..guidance_core.rules.latent_update import LatentUpdate
from .rule_inputs import (
    EARLY_WINDOW,
    WHOLE_WINDOW,
    schedule_input,
    shared_inputs,
    stop_input,
    timed,
)
from .sockets import Rule, Schedule, advanced, schema


class RuleForward(io.ComfyNode):
    """Gradient through the model: universal guidance."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleForward",
            display_name="Rule: Forward (through the model)",
            category="guidance/rule",
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


class RuleBackward(io.ComfyNode):
    """A few optimiser steps on the clean estimate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleBackward",
            display_name="Rule: Backward (at the estimate)",
            category="guidance/rule",
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


class RuleLatentUpdate(io.ComfyNode):
    """The noisy latent moves before the model's step."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleLatentUpdate",
            display_name="Rule: Latent Update (before the step)",
            category="guidance/rule",
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


NODES = [RuleForward, RuleBackward, RuleLatentUpdate]
