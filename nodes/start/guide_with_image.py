"""Guides a model by a reference image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from comfy_api.latest import io

from ...guidance_core.energies.clip_image import ClipImage
from ...guidance_core.energies.color_histogram import ColorHistogram
from ...guidance_core.energies.structure import Structure
from ...guidance_core.energies.style import Style
from ..host import networks, shapes
from ..host.browser.queued import validated
from ..inputs.energy import channels_first
from ..inputs.faults import CLIP_LOADERS, FEATURE_LOADERS
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

END = 0.9


class Copied(NamedTuple):
    """What is copied: its energy of a network and a reference, that network and what loads it."""

    energy: Callable[[Any, torch.Tensor], Any]
    kind: networks.Kind | None
    loaders: tuple[str, ...]
    medium: float


# Relative strengths: of style and palette as measured in docs/guides.md, the others unmeasured.
COPIED = {
    "style": Copied(
        lambda network, image: Style(network, image, (1, 2, 3)),
        networks.OPEN_CLIP,
        FEATURE_LOADERS,
        0.7,
    ),
    "likeness": Copied(ClipImage, networks.OPEN_CLIP, CLIP_LOADERS, 1.0),
    "structure": Copied(Structure, networks.VIT, ("EGLoadViT",), 0.5),
    "palette": Copied(lambda network, image: ColorHistogram(image), None, (), 0.5),
}


class GuideWithImage(io.ComfyNode):
    """Guides a model by a reference image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGGuideWithImage",
            display_name="Guide with Image",
            category=CATEGORY,
            description="Gives images the style, the likeness, the structure or the palette of "
            "a reference: between the model's loader and the sampler.",
            search_aliases=("guidance", "style transfer", "image prompt", "start here"),
            inputs=[
                model_input(),
                io.Image.Input("image", tooltip="The reference, any size."),
                io.Combo.Input(
                    "copy",
                    options=list(COPIED),
                    default="style",
                    tooltip="What is copied of the reference. style: colours, textures and "
                    "strokes, by CLIP. likeness: content and mood, by CLIP. structure: the "
                    "layout without the colours, by a ViT. palette: the colours in their "
                    "amounts, without a network.",
                ),
                *strength_inputs(),
                vae_input(),
                Network.Input(
                    "network",
                    optional=True,
                    tooltip="From a Load Guide node. Without one, a CLIP (style, likeness) or a "
                    "ViT (structure) that lies in models/guidance; for Shapes its own.",
                ),
                *folded_inputs(END),
            ],
            outputs=outputs(),
            # Its monitor draws on this node: another node of the same inputs needs one of its own.
            not_idempotent=True,
        )

    @classmethod
    def validate_inputs(cls, image: None = None) -> bool | str:
        """Refuse a missing VAE or network when the workflow is queued."""
        node = validated()
        copied = COPIED.get(str(node.value("copy"))) if node else None
        needs = copied and copied.kind and guide_fault(copied.kind, *copied.loaders)
        return decoder_fault() or needs or True

    @classmethod
    def execute(
        cls,
        model: Any,
        image: torch.Tensor,
        copy: str,
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
        copied = COPIED[copy]
        if network is None and copied.kind is not None:
            network = networks.load_present(copied.kind, embedded=shapes.is_shapes(model))
        return guided_by_image(
            model,
            copied.energy(network, channels_first(image, "image")),
            copied.medium * amount_of(strength, amount),
            (start_percent, end_percent),
            rule=rule,
            recurrences=recurrences,
            vae=vae,
            decoder=decoder,
            tries=tries,
        )
