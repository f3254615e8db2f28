"""Steers the image by all the published rules at once, with the methods as presets."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.gradients import LOOK_AT
from ...guidance_core.rules.presets import PRESETS
from ...guidance_core.rules.unified import Unified
from ...guidance_core.schedules.courses import COURSES
from ..host.browser.queued import validated
from ..inputs.faults import image_fault
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

CUSTOM = "custom"


class RuleUnified(io.ComfyNode):
    """Steers the image by all the published rules at once: TFG."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleUnified",
            display_name="Rule: Unified",
            category="guidance/advanced",
            description="Steers the image by steps through the diffusion model (rho), steps "
            "on the clean estimate (mu) and smoothing of the energy (gamma). Published "
            "methods are presets of it.",
            search_aliases=("tfg", "lgd", "training-free guidance", "freedom", "dps", "mpgd"),
            inputs=[
                *shared_inputs(
                    "Multiplies rho and mu: higher follows the energy more, 0 is exactly no "
                    "guidance. relative: start with 0.5. absolute: start with 1.",
                    ["relative", "cfg", "absolute"],
                    "Unit of rho and mu. relative: the estimated uncertainty of the clean "
                    "estimate; suits every sampler, and presets are scaled to it. cfg: the "
                    "step of classifier-free guidance (needs CFG above 1). absolute: the "
                    "published numbers; needs " + ONE_STEP_TIP,
                ),
                io.Combo.Input(
                    "preset",
                    options=[CUSTOM, *PRESETS],
                    default=CUSTOM,
                    tooltip="A published method; the widgets from rho to residual_norm have "
                    "no effect then. For FreeDoM and universal guidance add 2 to 10 "
                    "recurrences (Recurrent Sampler). custom uses the widgets.",
                ),
                *cls._sizes(),
                *cls._smoothing(),
                *cls._course(),
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
    def _sizes(cls) -> list[io.Input]:
        return [
            io.Float.Input(
                "rho",
                default=1.0,
                min=0.0,
                max=1000.0,
                step=0.05,
                tooltip="Size of the step through the diffusion model: higher suits labels "
                "and sentences; 0 saves its backward pass.",
            ),
            io.Float.Input(
                "mu",
                default=0.5,
                min=0.0,
                max=1000.0,
                step=0.05,
                tooltip="Size of the steps on the clean estimate: higher suits restoration; "
                "0 leaves them out. Costs no pass of the diffusion model.",
            ),
            io.Int.Input(
                "iterations",
                default=4,
                min=1,
                max=1000,
                tooltip="Steps into which mu is divided: more follow the energy more "
                "exactly; each costs one decoding and one backward pass of the energy.",
            ),
        ]

    @classmethod
    def _smoothing(cls) -> list[io.Input]:
        return [
            advanced(
                io.Float.Input(
                    "gamma",
                    default=0.0,
                    min=0.0,
                    max=100.0,
                    step=0.01,
                    round=0.001,
                    tooltip="Width of the noise over which the energy is averaged, in units "
                    "of the estimated uncertainty: higher is steadier and less exact, 0 is "
                    "none.",
                )
            ),
            advanced(
                io.Int.Input(
                    "samples",
                    default=0,
                    min=0,
                    max=1000,
                    tooltip="Draws of that noise: more are steadier; each costs one decoding "
                    "and one evaluation of the energy. At least 1 where gamma is not 0.",
                )
            ),
        ]

    @classmethod
    def _course(cls) -> list[io.Input]:
        return [
            advanced(
                io.Combo.Input(
                    "course",
                    options=list(COURSES),
                    default="constant",
                    tooltip="How the steps change during sampling, with mean 1. increase: "
                    "small at first, large at the end. decrease: the reverse. constant: all "
                    "alike.",
                )
            ),
            advanced(
                io.Boolean.Input(
                    "residual_norm",
                    default=False,
                    tooltip="In the absolute scale. On: follows the square root of the "
                    "energy, for energies that are a squared distance, such as in "
                    "restoration and style. Off: follows the energy itself, for labels.",
                )
            ),
        ]

    @classmethod
    def validate_inputs(cls, energy: None = None) -> bool | str:
        """Refuse steps at the estimate for energies inside the model when it is queued."""
        node = validated()
        preset = PRESETS.get(node.value("preset")) if node else None
        sizes = preset.settings("relative") if preset else {}
        names = ("mu", "gamma", "rho")
        mu, gamma, rho = (sizes.get(name, node.value(name) if node else None) for name in names)
        if node is None or (mu == gamma == 0 and rho != 0) or None in (mu, gamma, rho):
            return True
        why = "with mu or gamma works at the clean estimate"
        advice = "set both to 0 and rho above, or choose a preset with rho alone (DPS, FreeDoM)"
        return image_fault("energy", why, advice) or True

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
        look_at: str = LOOK_AT,
        every: int = 1,
        moved: float = 0.0,
        depth: float = 1.0,
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
        strengths = timed(strength, schedule, every, moved)
        shared: dict[str, Any] = {"stop": stop, "look_at": look_at, "depth": depth}
        return io.NodeOutput(Unified(energy, strengths, **shared, **settings))
