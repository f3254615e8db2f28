"""One energy, averaged over noise around the estimate: LGD."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.smoothed import Smoothed
from ..inputs.sockets import Energy, schema


class SmoothEnergy(io.ComfyNode):
    """One energy, averaged over noise around the estimate: LGD."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGSmoothEnergy",
            display_name="Smooth Energy (LGD)",
            category="guidance/energies",
            description="Averages an energy over noise around the clean estimate, for guide "
            "networks that are steep or were never shown blurry estimates. Works under every rule "
            "(Loss-Guided Diffusion).",
            search_aliases=("lgd", "loss-guided diffusion", "monte carlo", "smoothing"),
            inputs=[
                Energy.Input(
                    "energy",
                    tooltip="The energy to smooth; it must look at the picture or the latent, not "
                    "at attention.",
                ),
                io.Float.Input(
                    "gamma",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.01,
                    round=0.001,
                    tooltip="Width of the noise, in units of the uncertainty left in the estimate; "
                    "0 is the energy itself. LGD: 1; TFG: 0.001 to 1.",
                ),
                io.Int.Input(
                    "samples",
                    default=4,
                    min=1,
                    max=1000,
                    tooltip="Draws of the noise, each one decoding and one evaluation of the "
                    "energy. TFG: 1, 4 in its code by default.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    tooltip="Seed of the draws: the same for every picture and step, so that the "
                    "same workflow gives the same bytes. The papers drew anew each time.",
                ),
            ],
            outputs=[Energy.Output(display_name="energy", tooltip="The smoothed energy.")],
        )

    @classmethod
    def execute(cls, energy: Any, gamma: float, samples: int, seed: int) -> io.NodeOutput:
        """Build the smoothed energy."""
        return io.NodeOutput(Smoothed(energy, gamma, samples, seed))
