"""Starts over from the middle of a run, for images that are not what was asked."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.schedules import PercentWindow
from ..host.restart import restart_sampler
from ..inputs.sampling import tries_input
from ..inputs.sockets import schema
from ..inputs.window import window_fault, window_inputs

START_TIP = (
    "Where an image goes back to, as a position on the model's noise schedule from 0 (pure noise) "
    "to 1 (finished image). Earlier gives more different tries, and costs more."
)
END_TIP = (
    "Where images are judged, from 0 (pure noise) to 1 (finished image): late enough to tell what "
    "they show, while rules still act."
)


class RestartSampler(io.ComfyNode):
    """Starts over from the middle of a run, for images that are not what was asked."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRestartSampler",
            display_name="Restart Sampler",
            category="guidance/advanced",
            description="Tries again where guidance failed: an image whose energies are not "
            "reached goes back to an earlier noise level with fresh noise, and the better try is "
            "kept. Images that are as asked cost nothing more.",
            search_aliases=("restart", "retry", "best of", "time travel"),
            inputs=[
                io.Sampler.Input(
                    "sampler", tooltip="The sampler to restart, for example from KSamplerSelect."
                ),
                tries_input(default=3),
                *window_inputs(START_TIP, END_TIP, start=0.1, end=0.8),
            ],
            outputs=[io.Sampler.Output(tooltip="For SamplerCustom and SamplerCustomAdvanced.")],
        )

    @classmethod
    def validate_inputs(
        cls, start_percent: float | None = None, end_percent: float | None = None
    ) -> bool | str:
        """Refuse an empty or impossible window when the workflow is queued."""
        return window_fault(start_percent, end_percent) or True

    @classmethod
    def execute(
        cls, sampler: Any, tries: int, start_percent: float, end_percent: float
    ) -> io.NodeOutput:
        """Wrap the sampler."""
        window = PercentWindow(start_percent, end_percent)
        return io.NodeOutput(restart_sampler(sampler, tries, window))
