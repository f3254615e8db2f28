"""The unified rule as a node, with the published methods as presets."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.rules.presets import PRESETS
from ...guidance_core.rules.unified import COURSES, Unified
from ..inputs.rule import ONE_STEP_TIP, schedule_input, shared_inputs, stop_input, timed
from ..inputs.sockets import Rule, advanced, schema

CUSTOM = "custom"


class RuleUnified(io.ComfyNode):
    """All the published rules in one: TFG."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleUnified",
            display_name="Rule: Unified (TFG)",
            category="guidance/rules",
            description="Unified training-free guidance: a push through the diffusion model "
            "(rho), a few steps at the clean estimate (mu) and smoothing of the energy (gamma). "
            "DPS, LGD, FreeDoM, MPGD and Universal Guidance are settings of it.",
            search_aliases=("tfg", "lgd", "training-free guidance", "freedom", "dps", "mpgd"),
            inputs=[
                *shared_inputs(
                    "Multiplies rho and mu; 0 is exactly no guidance. Relative: 0.5 is a good "
                    "start. Absolute: 1 is what the papers' scripts used.",
                    ["relative", "cfg", "absolute"],
                    "What rho and mu mean. relative: pushes in units of the uncertainty left in "
                    "the clean estimate; suits every sampler, and presets take sizes for it. cfg: "
                    "in units of CFG's own push (needs CFG above 1). absolute: the papers' own "
                    "numbers. " + ONE_STEP_TIP,
                ),
                io.Combo.Input(
                    "preset",
                    options=[CUSTOM, *PRESETS],
                    default=CUSTOM,
                    tooltip="A published method; the widgets below then do nothing. FreeDoM and "
                    "universal guidance also took 2 to 10 recurrences, see Recurrent Sampler. "
                    "Without relative scale, TFG's presets are its scripts' values.",
                ),
                *cls._sizes(),
                *cls._details(),
                stop_input(),
                schedule_input(),
            ],
            outputs=[Rule.Output(display_name="rule", tooltip="For Apply Guidance.")],
        )

    @classmethod
    def _sizes(cls) -> list[io.Input]:
        return [
            io.Float.Input(
                "rho",
                default=1.0,
                min=0.0,
                max=1000.0,
                step=0.05,
                tooltip="Push through the diffusion model; 0 saves its backward pass. TFG: 0.25 "
                "(style) to 4 (super-resolution).",
            ),
            io.Float.Input(
                "mu",
                default=0.5,
                min=0.0,
                max=1000.0,
                step=0.05,
                tooltip="Push at the clean estimate, without the model. TFG: 0.25 (labels) to 8 "
                "(deblurring).",
            ),
            io.Int.Input(
                "iterations",
                default=4,
                min=1,
                max=1000,
                tooltip="Steps that mu is taken in, each one decoding and one backward pass of "
                "the energy. TFG 4, MPGD 1.",
            ),
        ]

    @classmethod
    def _details(cls) -> list[io.Input]:
        return [
            advanced(
                io.Float.Input(
                    "gamma",
                    default=0.0,
                    min=0.0,
                    max=100.0,
                    step=0.01,
                    round=0.001,
                    tooltip="Width of the noise that the energy is averaged over, in units of the "
                    "uncertainty left; 0 is none. TFG 0.001 to 1, LGD 1.",
                )
            ),
            advanced(
                io.Int.Input(
                    "samples",
                    default=0,
                    min=0,
                    max=1000,
                    tooltip="Draws of that noise, each one decoding and one evaluation of the "
                    "energy; at least 1 where gamma is not 0. TFG 1 (4 in its code by default).",
                )
            ),
            advanced(
                io.Combo.Input(
                    "course",
                    options=list(COURSES),
                    default="constant",
                    tooltip="How the pushes go over the run, with mean 1: with the signal of each "
                    "step (increase, TFG's choice), against it (decrease), or evenly.",
                )
            ),
            advanced(
                io.Boolean.Input(
                    "residual_norm",
                    default=False,
                    tooltip="In the absolute scale, follow the root of the energy: the norm of a "
                    "residual whose square the energy is. TFG: on for deblurring, "
                    "super-resolution and style, off for labels.",
                )
            ),
        ]

    @classmethod
    def execute(
        cls,
        energy: Any,
        strength: float,
        scale: str,
        preset: str,
        rho: float,
        mu: float,
        iterations: int,
        gamma: float,
        samples: int,
        course: str,
        residual_norm: bool,
        stop: float,
        schedule: Any = None,
    ) -> io.NodeOutput:
        """Build the rule."""
        own = {
            "scale": scale,
            "rho": rho,
            "mu": mu,
            "iterations": iterations,
            "gamma": gamma,
            "samples": samples,
            "course": course,
            "root": residual_norm,
        }
        settings = own if preset == CUSTOM else PRESETS[preset].settings(scale)
        return io.NodeOutput(Unified(energy, timed(strength, schedule), stop=stop, **settings))
