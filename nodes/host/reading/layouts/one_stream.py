"""Transformers whose blocks see image and text as one sequence."""

from __future__ import annotations

from torch import nn

from ..layout import Layout
from ..tokens import Given, Tokens, behind_image, behind_text, last
from .transformer import Transformer, family_of

NAMES = "Lumina 2, Z-Image, OmniGen2, Boogu, Krea 2, ERNIE-Image, Ideogram 4"


def layout_of(network: nn.Module) -> Layout | None:
    """Return what can be read in a network of this group; None for other networks."""
    family = family_of(network, FAMILIES)
    if family is LUMINA and getattr(network, "pad_tokens_multiple", None):
        family = _padded(network.pad_tokens_multiple)
    return None if family is None else family.layout(network)


def _padded(multiple: int) -> Transformer:
    """Z-Image: text and image are each padded to multiples; images of reference stand between."""

    def image(given: Given, length: int, count: int) -> int:
        return length - count - -count % multiple

    def text(given: Given, length: int, count: int) -> int:
        contexts = given.arguments.get("ref_contexts") or ()
        before = contexts[: len(given.arguments.get("ref_latents") or ())]
        return sum(part.shape[1] + -part.shape[1] % multiple for part in before)

    return Transformer(LUMINA.blocks, LUMINA.patch, Tokens(image=image, text=text))


# The prompt, other images, then the image.
LUMINA = Transformer({"joint": "layers"}, "patch_size", Tokens(image=last))
OMNIGEN2 = Transformer({"joint": "layers"}, "patch_size", Tokens(image=last))
FAMILIES = {
    "comfy.ldm.lumina.model.NextDiT": LUMINA,
    "comfy.ldm.omnigen.omnigen2.OmniGen2Transformer2DModel": OMNIGEN2,
    "comfy.ldm.boogu.model.BooguTransformer2DModel": Transformer(
        {"double": "double_stream_layers", "single": "single_stream_layers"},
        "patch_size",
        Tokens(image=last, in_stream=last),
    ),
    "comfy.ldm.krea2.model.SingleStreamDiT": Transformer(
        {"single": "blocks"}, "patch", Tokens(image=behind_text)
    ),
    "comfy.ldm.ernie.model.ErnieImageModel": Transformer(
        {"single": "layers"}, "patch_size", Tokens(text=behind_image)
    ),
    # Its latent is in patches already.
    "comfy.ldm.ideogram4.model.Ideogram4Transformer2DModel": Transformer(
        {"single": "layers"}, (1, 1), Tokens(image=behind_text)
    ),
}
