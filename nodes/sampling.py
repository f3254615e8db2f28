"""Nodes that put guidance into the host's own models and samplers."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..guidance_core.trace import Trace as TraceData
from .host import guide, sampling
from .schedules import window_fault, window_inputs
from .sockets import Rule, Trace, schema

RULE_SLOTS = 4
VAE_TIP = (
    "Decodes inside the gradient, for energies that look at the picture (Universal Guidance and "
    "FreeDoM used the model's own VAE)."
)
RECURRENCES_TIP = (
    "How often each step is taken: 1 is off; otherwise noise is put back after it and the step is "
    "taken again, so that guidance and model can agree, at the same cost once more. Universal "
    "Guidance 2 to 10, FreeDoM 3, TFG 1. Samplers that remember earlier steps start afresh each "
    "time."
)
TRACE_TIP = (
    "Energy, gradient and push of every step, filled while sampling; for Plot Guidance Trace."
)


def recurrences_input() -> io.Input:
    """How often each step is repeated."""
    return io.Int.Input("recurrences", default=2, min=1, max=100, tooltip=RECURRENCES_TIP)


def sampler_inputs() -> list[io.Input]:
    """Steps, CFG, sampler and scheduler of the stock KSampler."""
    return [
        io.Int.Input(
            "steps",
            default=20,
            min=1,
            max=10000,
            tooltip="Sampling steps. Universal Guidance took 250 to 500, FreeDoM and TFG 100.",
        ),
        io.Float.Input(
            "cfg",
            default=4.0,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            tooltip="Scale of classifier-free guidance, i.e. of the prompt. Universal "
            "Guidance used 1.5 to 7.5 beside an energy, MPGD 5, TFG 7.5.",
        ),
        io.Combo.Input(
            "sampler_name",
            options=sampling.SAMPLERS,
            default="euler",
            tooltip="Any of the host's samplers. The papers used DDIM, which euler is; "
            "ancestral ones add noise, as FreeDoM and TFG did.",
        ),
        io.Combo.Input(
            "scheduler",
            options=sampling.SCHEDULERS,
            default="normal",
            tooltip="How the noise levels are spaced. The papers' even spacing is normal.",
        ),
    ]


def decoder_input() -> io.Input:
    """What decodes for energies."""
    return io.Combo.Input(
        "decoder",
        options=["auto", "vae", "taesd", "rgb"],
        default="auto",
        tooltip="What turns latents into the picture that an energy looks at. vae: "
        "exact, as in the papers. taesd: a small decoder under models/vae_approx, far "
        "less memory. rgb: one linear layer, nearly free, colours only. auto: the VAE "
        "when one is connected.",
    )


class ApplyGuidance(io.ComfyNode):
    """Rules on a MODEL, for any sampler node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        rules = [
            Rule.Input(
                f"rule_{slot}",
                optional=slot > 1,
                tooltip="Rules act one after another, on one evaluation of the model.",
            )
            for slot in range(1, RULE_SLOTS + 1)
        ]
        return schema(
            "EGApplyGuidance",
            display_name="Apply Guidance",
            category="guidance",
            description="Puts guidance rules on a model. Any sampler node works with the result.",
            search_aliases=("universal guidance", "guided model", "energy guidance"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model; it is not changed itself."),
                *rules,
                decoder_input(),
                io.Vae.Input("vae", optional=True, tooltip=VAE_TIP),
            ],
            outputs=[
                io.Model.Output(tooltip="The guided model, for any sampler."),
                Trace.Output(display_name="trace", tooltip=TRACE_TIP),
            ],
            # A cached model draws on the node that made it: a node of another id makes its own.
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        rule_1: Any,
        decoder: str,
        rule_2: Any = None,
        rule_3: Any = None,
        rule_4: Any = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        """Guide a clone of the model."""
        rules = [rule for rule in (rule_1, rule_2, rule_3, rule_4) if rule is not None]
        trace = TraceData()
        return io.NodeOutput(
            guide.apply(model, rules, vae=vae, decoder=decoder, trace=trace), trace
        )


class RecurrentSampler(io.ComfyNode):
    """Self-recurrence around any SAMPLER."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRecurrentSampler",
            display_name="Recurrent Sampler (time travel)",
            category="guidance",
            description="Takes each step of a sampler several times, putting noise back in "
            "between, so that guidance and model can agree (self-recurrence in Universal "
            "Guidance, time travel in FreeDoM).",
            search_aliases=("time travel", "self recurrence", "resample"),
            inputs=[
                io.Sampler.Input("sampler", tooltip="For example from KSamplerSelect."),
                recurrences_input(),
                *window_inputs(),
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
        return io.NodeOutput(
            sampling.recurrent_sampler(sampler, recurrences, start_percent, end_percent)
        )


NODES = [ApplyGuidance, RecurrentSampler]
