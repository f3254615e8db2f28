"""Repeats the steps of any sampler, with noise added back in between."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.schedules import PercentWindow
from ..host.recurrence import recurrent_sampler
from ..inputs.sampling import recurrences_input
from ..inputs.sockets import schema
from ..inputs.window import window_fault, window_inputs

START_TIP = (
    "Where steps begin to be repeated, as a position on the model's noise schedule from 0 (pure "
    "noise) to 1 (finished image)."
)
END_TIP = (
    "Where steps are no longer repeated, from 0 (pure noise) to 1 (finished image). Earlier is "
    "faster."
)


class RecurrentSampler(io.ComfyNode):
    """Repeats the steps of any sampler, with noise added back in between."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRecurrentSampler",
            display_name="Recurrent Sampler",
            category="guidance/advanced",
            description="Lets guidance and model agree better: takes each step of a sampler "
            "several times and adds noise back in between (self-recurrence in Universal "
            "Guidance, time travel in FreeDoM).",
            search_aliases=("time travel", "self recurrence", "resample"),
            inputs=[
                io.Sampler.Input(
                    "sampler", tooltip="The sampler to repeat, for example from KSamplerSelect."
                ),
                recurrences_input(),
                *window_inputs(START_TIP, END_TIP),
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
        cls, sampler: Any, recurrences: int, start_percent: float, end_percent: float
    ) -> io.NodeOutput:
        """Wrap the sampler."""
        window = PercentWindow(start_percent, end_percent)
        return io.NodeOutput(recurrent_sampler(sampler, recurrences, window))
