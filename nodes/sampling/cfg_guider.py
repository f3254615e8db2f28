"""Classifier-free guidance in either convention, inside a window of the run."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.procedures.cfg_conventions import CONVENTIONS, gamma_of
from ...guidance_core.schedules import PercentWindow
from ..host.cfg_guider import cfg_guider
from ..inputs.sockets import schema
from ..inputs.window import window_fault, window_inputs

START_TIP = (
    "Where CFG begins, as a position on the model's noise schedule from 0 (pure noise) to 1 "
    "(finished image). Before it the positive prompt acts alone: more variety, half the cost."
)
END_TIP = (
    "Where CFG ends, from 0 (pure noise) to 1 (finished image). After it the positive prompt acts "
    "alone, at half the cost; at the lowest noise levels papers see no loss by it."
)


class CFGGuider(io.ComfyNode):
    """Classifier-free guidance in either convention, inside a window of the run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGCFGGuider",
            display_name="CFG Guider (Window)",
            category="guidance/advanced",
            description="Follows the prompt by classifier-free guidance inside a window of the "
            "run, with the scale as papers write it. Over the whole run it is bit-identical to "
            "CFGGuider.",
            search_aliases=("classifier-free guidance", "guidance interval", "cfg window"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model, guided or not."),
                io.Conditioning.Input("positive", tooltip="The prompt."),
                io.Conditioning.Input("negative", tooltip="What the image should not show."),
                io.Float.Input(
                    "scale",
                    default=4.0,
                    min=-1.0,
                    max=100.0,
                    step=0.1,
                    round=0.01,
                    tooltip="How strongly the prompt is followed, in the chosen convention. Gamma "
                    "between 0 and 1 mixes the images with and without the prompt, gamma 1 (w 0) "
                    "is the prompt alone, more exaggerates it.",
                ),
                io.Combo.Input(
                    "convention",
                    options=list(CONVENTIONS),
                    default="gamma",
                    tooltip="gamma: uncond + gamma (cond - uncond), the CFG of ComfyUI, Stable "
                    "Diffusion, GLIDE and Imagen. w: (1 + w) cond - w uncond, as Ho and Salimans "
                    "write it, so that gamma is 1 + w.",
                ),
                *window_inputs(START_TIP, END_TIP, end=1.0),
            ],
            outputs=[io.Guider.Output(tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def validate_inputs(
        cls, start_percent: float | None = None, end_percent: float | None = None
    ) -> bool | str:
        """Refuse an empty or impossible window when the workflow is queued."""
        return window_fault(start_percent, end_percent) or True

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        negative: Any,
        scale: float,
        convention: str,
        start_percent: float,
        end_percent: float,
    ) -> io.NodeOutput:
        """Make the guider."""
        window = PercentWindow(start_percent, end_percent)
        gamma = gamma_of(scale, convention)
        return io.NodeOutput(cfg_guider(model, positive, negative, gamma, window))
