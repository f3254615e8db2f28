"""A push behind the step: DPS, FreeDoM, DSG."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.rules.posterior import Posterior
from ..inputs.rule import ONE_STEP_TIP, schedule_input, shared_inputs, stop_input, timed
from ..inputs.sockets import Rule, advanced, schema


class RulePosterior(io.ComfyNode):
    """A push behind the step: DPS, FreeDoM, DSG."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRulePosterior",
            display_name="Rule: Posterior (DPS, FreeDoM)",
            category="guidance/rules",
            description="Posterior sampling: the sampler steps, then the latent moves against the "
            "gradient through the diffusion model. One more backward pass per step. FreeDoM's "
            "time travel is the Recurrent Sampler, or the recurrences of KSampler (Guided).",
            search_aliases=("dps", "diffusion posterior sampling", "freedom", "dsg", "spherical"),
            inputs=[
                *shared_inputs(
                    "How hard to push; 0 is exactly no guidance. Relative: 0.5 is a good start. "
                    "Absolute: 0.3 to 1 in DPS, 0.2 to 500 in FreeDoM. Spherical: DSG's "
                    "step is 1.",
                    ["relative", "cfg", "absolute", "spherical"],
                    "What strength 1 means. relative: a push as large as the uncertainty left in "
                    "the clean estimate; the same as Rule: Forward. cfg: as large as CFG's own "
                    "push; FreeDoM's 0.2 in 100 steps is about 6 here. absolute: the gradient as "
                    "published. spherical: as long as the noise of an ancestral step (DSG). The "
                    "last two: " + ONE_STEP_TIP,
                ),
                advanced(
                    io.Boolean.Input(
                        "residual_norm",
                        default=True,
                        tooltip="In the absolute scale, follow the root of the energy: the norm "
                        "of a residual whose square the energy is, as DPS and FreeDoM do. Off for "
                        "energies that are a log-probability, such as a class label.",
                    )
                ),
                stop_input(),
                schedule_input(),
            ],
            outputs=[Rule.Output(display_name="rule", tooltip="For Apply Guidance.")],
        )

    @classmethod
    def execute(
        cls,
        energy: Any,
        strength: float,
        scale: str,
        residual_norm: bool,
        stop: float,
        schedule: Any = None,
    ) -> io.NodeOutput:
        """Build the rule."""
        strengths = timed(strength, schedule)
        return io.NodeOutput(
            Posterior(energy, strengths, scale=scale, root=residual_norm, stop=stop)
        )
