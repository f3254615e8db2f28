"""What can be read in a family, in the words of docs/models.md."""

from __future__ import annotations

from energy_guidance.guidance_core.captures import Attention
from energy_guidance.nodes.host.reading.layouts import layout_of
from energy_guidance.tests.host.families import model

# Text encoders whose words are tested in tests/host/test_encoders.py and its neighbours.
CLIPS, T5, QWEN, QWEN3 = "CLIP", "T5", "Qwen2.5-VL", "Qwen3"
WORDS = {
    **dict.fromkeys(("SD 1.5", "SD 1.5 inpainting", "InstructPix2Pix", "SD 2 (v)"), CLIPS),
    **dict.fromkeys(("SDXL", "SDXL (v)", "SDXL (EDM, Playground)", "SDXL refiner"), CLIPS),
    "SD3.5": "CLIP and T5",
    "AuraFlow": T5,
    **dict.fromkeys(("HiDream-I1", "HiDream-E1"), "T5 and Llama"),
    **dict.fromkeys(("Qwen-Image", "Qwen-Image-Edit"), QWEN),
    "Mage-Flow": "Qwen3-VL",
    "JoyImage": "Qwen3-VL",
    **dict.fromkeys(("FLUX.1", "FLUX.1 Kontext", "FLUX.1 Fill", "Chroma", "Chroma Radiance"), T5),
    **dict.fromkeys(("FLUX.2", "FLUX.2 with a reference"), "Mistral, Qwen3"),
    "LongCat-Image": QWEN,
    "Lumina 2": "Gemma 2",
    **dict.fromkeys(("Z-Image", "Z-Image (pixels)"), QWEN3),
    **dict.fromkeys(("OmniGen2", "OmniGen2 with a reference"), QWEN),
    "Boogu": "Qwen3-VL",
    "Ideogram 4": "Qwen3-VL",
    "Krea 2": "Qwen3-VL",
    **dict.fromkeys(("PixArt Alpha", "PixArt Sigma"), T5),
    "HunyuanDiT": "CLIP (Chinese), not mT5",
    **dict.fromkeys(("Cosmos Predict2", "Cosmos 1"), T5),
    "Anima": "T5's tokens",
    **dict.fromkeys(
        ("Wan 2.1", "Wan 2.1 image to video", "Wan 2.1 VACE", "Wan 2.2 5B"),
        "UMT5",
    ),
    "HunyuanVideo": "Llama",
    **dict.fromkeys(("HunyuanVideo 1.5", "HunyuanVideo 1.5 image to video"), QWEN),
    "HunyuanImage 2.1": QWEN,
    "LTX-Video": T5,
    "Mochi": T5,
    "CogVideoX": T5,
    **dict.fromkeys(("Kandinsky 5", "Kandinsky 5 image to video", "Kandinsky 5 image"), QWEN),
    "PixelDiT": "Gemma 2",
}


def attention(family: str) -> str:
    """Layers of attention that "default" stands for in the small model, or why there are none."""
    try:
        known = layout_of(model(family).model.diffusion_model)
    except ValueError as error:
        return str(error).partition("because ")[2].partition(":")[0] or str(error)
    return ", ".join(known.layers(Attention()))


def maps(family: str) -> str:
    """The kinds of maps: attention, and concept where the text attends to the image."""
    try:
        joint = layout_of(model(family).model.diffusion_model).joint
    except ValueError:
        return "none"
    return "attention, concept" if joint else "attention"


def words(family: str) -> str:
    """Text encoders whose words are known."""
    return WORDS.get(family, "no text")
