"""One gradient step at the clean estimate: MPGD."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.rules.manifold import Manifold
from ..inputs.rule import ONE_STEP_TIP, schedule_input, shared_inputs, stop_input, timed
from ..inputs.sockets import Rule, advanced, schema


class RuleManifold(io.ComfyNode):
    """One gradient step at the clean estimate: MPGD."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRuleManifold",
            display_name="Rule: Manifold (MPGD)",
            category="guidance/rules",
            description="Manifold preserving guidance: one gradient step at the clean estimate, "
            "with no backward pass through the diffusion model. The cheapest rule.",
            search_aliases=("mpgd", "manifold preserving guidance", "mean guidance"),
            inputs=[
                *shared_inputs(
                    "How hard to push; 0 is exactly no guidance. Relative: 0.5 to 1 is a good "
                    "start. Absolute: 4 in 100 steps for MPGD's super-resolution, 7.5 in 50, 17.5 "
                    "in 20.",
                    ["relative", "cfg", "absolute"],
                    "What strength 1 means. relative: a push as large as the uncertainty left in "
                    "the clean estimate; suits every sampler. cfg: as large as CFG's own push, as "
                    "in MPGD's style guidance (needs CFG above 1). absolute: the plain gradient. "
                    + ONE_STEP_TIP,
                ),
                advanced(
                    io.Boolean.Input(
                        "projected",
                        default=False,
                        tooltip="Take the gradient behind the autoencoder: the picture is encoded "
                        "and decoded once more before the energy sees it (MPGD-AE). For latent "
                        "models MPGD left this off, their decoder being the projection already. "
                        "Needs a VAE.",
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
        projected: bool,
        stop: float,
        schedule: Any = None,
    ) -> io.NodeOutput:
        """Build the rule."""
        strengths = timed(strength, schedule)
        return io.NodeOutput(
            Manifold(energy, strengths, scale=scale, stop=stop, projected=projected)
        )
