"""Makes an energy steadier by averaging it over noise: LGD."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.smoothed import Smoothed
from ..inputs.faults import image_fault
from ..inputs.sockets import Energy, schema


class SmoothEnergy(io.ComfyNode):
    """Makes an energy steadier by averaging it over noise: LGD."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGSmoothEnergy",
            display_name="Smooth Energy",
            category="guidance/advanced",
            description="Makes an energy steadier by averaging it over noise around the "
            "clean estimate, for guide networks that react abruptly or know no blurred "
            "images. Works with every rule; each draw costs one decoding and one evaluation "
            "of the energy.",
            search_aliases=("lgd", "loss-guided diffusion", "monte carlo", "smoothing"),
            inputs=[
                Energy.Input(
                    "energy",
                    tooltip="The energy to smooth. It must look at the image or the latent; "
                    "an energy that reads attention or features is refused.",
                ),
                io.Float.Input(
                    "gamma",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.01,
                    round=0.001,
                    tooltip="Width of the noise, in units of the estimated uncertainty. "
                    "Higher is steadier and blurs more of what the energy says; 0 is the "
                    "energy itself. Start with 0.1 to 1.",
                ),
                io.Int.Input(
                    "samples",
                    default=4,
                    min=1,
                    max=1000,
                    tooltip="Draws of the noise: more are steadier; each costs one decoding "
                    "and one evaluation of the energy.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    tooltip="Seed of the draws, the same for every image and step, so that a "
                    "workflow always gives the same image.",
                ),
            ],
            outputs=[Energy.Output(display_name="energy", tooltip="The smoothed energy.")],
        )

    @classmethod
    def validate_inputs(cls, energy: None = None) -> bool | str:
        """Refuse an energy that looks inside the model when the workflow is queued."""
        return image_fault("energy", "moves the clean estimate") or True

    @classmethod
    def execute(cls, energy: Any, gamma: float, samples: int, seed: int) -> io.NodeOutput:
        """Build the smoothed energy."""
        return io.NodeOutput(Smoothed(energy, gamma, samples, seed))
