"""Guides a model by a sentence."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.clip_text import ClipText
from ..host import networks, shapes
from ..inputs.energy import sentence_fault
from ..inputs.sockets import Network, schema
from ..inputs.start import (
    CATEGORY,
    amount_of,
    folded_inputs,
    guided_by_image,
    model_input,
    outputs,
    strength_inputs,
    vae_input,
)
from ..inputs.start_faults import decoder_fault, guide_fault

# The relative strength at which sentences were measured on Shapes, see EGEnergyCLIPText.md.
MEDIUM = 1.4
END = 0.9
CUTOUTS = 4


class GuideWithText(io.ComfyNode):
    """Guides a model by a sentence."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGGuideWithText",
            display_name="Guide with Text",
            category=CATEGORY,
            description="Makes images fit a sentence, as a CLIP network judges them, beside "
            "the prompt: between the model's loader and the sampler.",
            search_aliases=("guidance", "clip guidance", "universal guidance", "start here"),
            inputs=[
                model_input(),
                io.String.Input(
                    "text",
                    default="a big red circle",
                    multiline=True,
                    tooltip="What the image should show, in a short English sentence. It may "
                    "repeat the prompt or say what the prompt does not achieve.",
                ),
                *strength_inputs(),
                vae_input(),
                Network.Input(
                    "network",
                    optional=True,
                    tooltip="From Load Guide: OpenCLIP. Without one, the CLIP network that lies "
                    "in models/guidance; for Shapes its own.",
                ),
                *folded_inputs(END),
            ],
            outputs=outputs(),
            # Its monitor draws on this node: another node of the same inputs needs one of its own.
            not_idempotent=True,
        )

    @classmethod
    def validate_inputs(cls, text: str | None = None) -> bool | str:
        """Refuse an empty sentence, or a missing VAE or network, when the workflow is queued."""
        missing = decoder_fault() or guide_fault(networks.OPEN_CLIP, "EGLoadOpenCLIP")
        return sentence_fault(text) or missing or True

    @classmethod
    def execute(
        cls,
        model: Any,
        text: str,
        strength: str,
        amount: float,
        vae: Any = None,
        network: Any = None,
        rule: str = "forward",
        start_percent: float = 0.0,
        end_percent: float = END,
        recurrences: int = 1,
        decoder: str = "auto",
        tries: int = 1,
    ) -> io.NodeOutput:
        """Guide a clone of the model."""
        embedded = shapes.is_shapes(model)
        if network is None:
            network = networks.load_present(networks.OPEN_CLIP, embedded=embedded)
        # Crops help networks that look at a quarter of the image's pixels; Shapes is seen whole.
        energy = ClipText(network, text, cutouts=0 if embedded else CUTOUTS)
        return guided_by_image(
            model,
            energy,
            MEDIUM * amount_of(strength, amount),
            (start_percent, end_percent),
            rule=rule,
            recurrences=recurrences,
            vae=vae,
            decoder=decoder,
            tries=tries,
        )
