"""Finds the negative prompt by which guidance reproduces an inverted image: null-text."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.procedures.null_text import ITERATIONS
from ..host import null_text, samplers
from ..host.browser.note import note
from ..host.invert import round_trip
from ..inputs.sockets import Path, schema


class NullText(io.ComfyNode):
    """Finds the negative prompt by which guidance reproduces an inverted image: null-text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGNullText",
            display_name="Null Text",
            category="guidance/edit",
            description="Finds a negative prompt for each step, by which an inverted image is "
            "reproduced above CFG 1 too (null-text optimisation). Edits that are sampled with it "
            "keep more of the image.",
            search_aliases=("null-text inversion", "null text optimization", "prompt-to-prompt"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model, without edits."),
                io.Conditioning.Input(
                    "positive", tooltip="The prompt that the path was made with."
                ),
                io.Conditioning.Input(
                    "negative", tooltip="The negative prompt to start from; usually empty."
                ),
                Path.Input("path", tooltip="From Invert, at CFG 1."),
                io.Float.Input(
                    "cfg",
                    default=7.5,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    round=0.01,
                    tooltip="Scale of classifier-free guidance that the edit is sampled with; not "
                    "1, where no negative prompt is evaluated.",
                ),
                io.Int.Input(
                    "iterations",
                    default=ITERATIONS,
                    min=1,
                    max=500,
                    tooltip="Steps of optimisation at each step of the sampler: more follow the "
                    "image more exactly. Each costs three evaluations; a step that is close enough "
                    "takes fewer.",
                ),
                io.Boolean.Input(
                    "measure",
                    default=True,
                    tooltip="Sample the image again and report how exactly it is reproduced. Costs "
                    "two evaluations per step.",
                ),
                io.Vae.Input(
                    "vae", optional=True, tooltip="Measures on the image in place of the latent."
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="negative",
                    tooltip="The negative prompt of each step, for a sampler with euler and the "
                    "steps, scheduler, denoise and CFG of the path and of this node.",
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="How exactly the image is reproduced at this CFG, in dB; above 35 the "
                    "difference is hard to see.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        negative: Any,
        path: Any,
        cfg: float,
        iterations: int,
        measure: bool,
        vae: Any = None,
    ) -> io.NodeOutput:
        """Find the negative prompt."""
        found, _ = null_text.optimised(model, positive, negative, path, cfg, iterations)
        plan = samplers.Plan.along(path, model, positive, found, cfg)
        report = round_trip(path, plan, vae) if measure else "round trip: not measured"
        note(report)
        return io.NodeOutput(found, report)
