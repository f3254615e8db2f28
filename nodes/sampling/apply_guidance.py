"""Guides a model, for any sampler node."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.trace import Trace as TraceData
from ..host import guide
from ..inputs.faults import vae_fault
from ..inputs.sampling import NO_VAE_TIP, TRACE_TIP, VAE_TIP, decoder_input
from ..inputs.sockets import Rule, Trace, advanced, schema

RULE_SLOTS = 4


class ApplyGuidance(io.ComfyNode):
    """Guides a model, for any sampler node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        rules = [
            Rule.Input(
                f"rule_{slot}",
                optional=slot > 1,
                tooltip="A rule; several act one after another on the same evaluation of the "
                "model, so that they cost one.",
            )
            for slot in range(1, RULE_SLOTS + 1)
        ]
        return schema(
            "EGApplyGuidance",
            display_name="Apply Guidance",
            category="guidance/start here",
            description="Guides a model by rules. The result works with any sampler node.",
            search_aliases=("universal guidance", "guided model", "energy guidance"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model; it is not changed."),
                *rules,
                decoder_input(),
                io.Vae.Input("vae", optional=True, tooltip=f"{VAE_TIP} {NO_VAE_TIP}"),
                _decode_at_input(),
            ],
            outputs=[
                io.Model.Output(tooltip="The guided model, for any sampler."),
                Trace.Output(display_name="trace", tooltip=TRACE_TIP),
            ],
            # A cached model draws on the node that made it: a node of another id makes its own.
            # Its monitor draws on this node: another node of the same inputs needs one of its own.
            not_idempotent=True,
        )

    @classmethod
    def validate_inputs(cls, decoder: str | None = None) -> bool | str:
        """Refuse energies of the image without a decoder when the workflow is queued."""
        return vae_fault() or True

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
        decode_at: str = "full",
    ) -> io.NodeOutput:
        """Guide a clone of the model."""
        rules = [rule for rule in (rule_1, rule_2, rule_3, rule_4) if rule is not None]
        trace = TraceData()
        guided = guide.apply(
            model, rules, vae=vae, decoder=decoder, decode_at=decode_at, trace=trace
        )
        return io.NodeOutput(guided, trace)


def _decode_at_input() -> io.Input:
    return advanced(
        io.Combo.Input(
            "decode_at",
            options=["full", "crops"],
            default="full",
            optional=True,
            tooltip="full: the whole image is decoded. crops: a network that looks at a masked "
            "area, such as a face, is shown what is decoded of that area and 8 latent cells "
            "around it: less time and memory where the mask is small, more where other energies "
            "look at the whole image too.",
        )
    )
