"""The stock KSampler with an energy, in one node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ...guidance_core.rules.backward import Backward
from ...guidance_core.rules.forward import Forward
from ...guidance_core.schedules import PercentWindow
from ...guidance_core.trace import Trace as TraceData
from ..host import guide, samplers
from ..host.browser.queued import validated
from ..host.restart import restarting_model
from ..inputs.faults import image_fault, vae_fault
from ..inputs.sampling import (
    TRACE_TIP,
    VAE_TIP,
    recurrences_input,
    sampler_inputs,
    seed_input,
    tries_input,
)
from ..inputs.sockets import Energy, Rule, Trace, schema
from ..inputs.window import window_fault, window_inputs

EXTRA_RULES = 2


def energy_rules(energy: Any, window: PercentWindow, backward_steps: int) -> list[Any]:
    """Forward guidance by an energy, and refinement at the estimate if asked for."""
    forward = Forward(energy, window)
    if not backward_steps:
        return [forward]
    # Not the published Adam: its steps of one size in every direction disturb the rest of Shapes.
    return [forward, Backward(energy, window, steps=backward_steps, optimiser="gd")]


def _steps_fault() -> str | None:
    """Why the energy cannot be followed by steps on the estimate."""
    node = validated()
    if node is None or not node.value("backward_steps"):
        return None
    why = "with backward_steps works at the clean estimate"
    return image_fault("energy", why, "set backward_steps to 0")


class GuidedKSampler(io.ComfyNode):
    """The stock KSampler with an energy, in one node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGGuidedKSampler",
            display_name="KSampler (Guided)",
            category="guidance/start here",
            description="Samples an image that follows an energy: the stock KSampler with "
            "guidance. With strength 0 its result is bit-identical to the stock KSampler's.",
            search_aliases=("guided sampler", "universal guidance", "energy guidance"),
            inputs=[*cls._stock_inputs(), *cls._guidance_inputs()],
            outputs=[
                io.Latent.Output(tooltip="The finished latent."),
                Trace.Output(display_name="trace", tooltip=TRACE_TIP),
            ],
        )

    @classmethod
    def _stock_inputs(cls) -> list[io.Input]:
        return [
            io.Model.Input("model", tooltip="The diffusion model."),
            seed_input("Seed of the noise; the same seed gives the same image, with guidance too."),
            *sampler_inputs(),
            io.Conditioning.Input("positive", tooltip="The prompt; it may be empty."),
            io.Conditioning.Input("negative", tooltip="What the image should not show."),
            io.Latent.Input(
                "latent_image", tooltip="The latent to start from; its noise mask is kept."
            ),
            io.Float.Input(
                "denoise",
                default=1.0,
                min=0.0,
                max=1.0,
                step=0.01,
                tooltip="How much of the latent changes, 0 to 1: 1 starts from noise alone, lower "
                "values keep more of the latent (image to image).",
            ),
        ]

    @classmethod
    def _guidance_inputs(cls) -> list[io.Input]:
        rules = [
            Rule.Input(
                f"rule_{slot}",
                optional=True,
                tooltip="A further rule, which acts after the energy with its own strength and "
                "schedule.",
            )
            for slot in range(1, EXTRA_RULES + 1)
        ]
        return [
            Energy.Input("energy", tooltip="What the image should become."),
            io.Float.Input(
                "strength",
                default=0.5,
                min=0.0,
                max=100.0,
                step=0.05,
                tooltip="Size of each step, relative to the estimated uncertainty of the image, so "
                "that one number suits every energy and model. 0 is the stock KSampler, 0.5 a "
                "good start; higher follows the energy more, near 2 the image burns. For the raw "
                "weights of papers use Rule: Forward with scale absolute.",
            ),
            io.Int.Input(
                "backward_steps",
                default=0,
                min=0,
                max=1000,
                tooltip="Optimiser steps on the estimated clean image, after each step through the "
                "model: more follow the energy closer, and each decodes the image and runs the "
                "energy once more. 0 is off; TFG uses 4.",
            ),
            recurrences_input(),
            *window_inputs(),
            *rules,
            io.Vae.Input("vae", optional=True, tooltip=VAE_TIP),
            tries_input(optional=True),
        ]

    @classmethod
    def validate_inputs(
        cls,
        energy: None = None,
        start_percent: float | None = None,
        end_percent: float | None = None,
    ) -> bool | str:
        """Refuse an impossible window, or energies that lack something, when it is queued."""
        return window_fault(start_percent, end_percent) or vae_fault() or _steps_fault() or True

    @classmethod
    def execute(
        cls,
        model: Any,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        positive: Any,
        negative: Any,
        latent_image: dict[str, Any],
        denoise: float,
        energy: Any,
        strength: float,
        backward_steps: int,
        recurrences: int,
        start_percent: float,
        end_percent: float,
        rule_1: Any = None,
        rule_2: Any = None,
        vae: Any = None,
        tries: int = 1,
    ) -> io.NodeOutput:
        """Sample under guidance."""
        window = PercentWindow(start_percent, end_percent)
        extra = [rule for rule in (rule_1, rule_2) if rule is not None]
        rules = [*energy_rules(energy, replace(window, value=strength), backward_steps), *extra]
        trace = TraceData()
        guided = guide.apply(model, rules, vae=vae, trace=trace)
        guided = restarting_model(guided, tries)
        widgets = (steps, cfg, sampler_name, scheduler, denoise)
        plan = samplers.plan_of(guided, positive, negative, *widgets)
        again = recurrences if strength or extra else 1
        latent = samplers.sample(plan, sampler_name, seed, latent_image, again, window)
        return io.NodeOutput(latent, trace)
