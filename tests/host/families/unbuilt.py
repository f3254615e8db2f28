"""Classes of comfy.supported_models that no family of these tests is made of, each with its reason.

A class of a newer host that stands in neither list has not been looked at: it is untested.
"""

from __future__ import annotations

# The same network and the same model of the host as a family's, with other sizes or settings.
ALIKE = {
    "SD21UnclipL": "SD 2 (v)",
    "SD21UnclipH": "SD 2 (v)",
    "SSD1B": "SDXL",
    "KOALA_700M": "SDXL",
    "KOALA_1B": "SDXL",
    "Segmind_Vega": "SDXL",
    "HunyuanDiT1": "HunyuanDiT",
    "FluxSchnell": "FLUX.1",
    "WAN21_FunControl2V": "Wan 2.1",
    "Hunyuan3Dv2mini": "Hunyuan3D 2",
}
# What guidance has no place in: what it makes is given, or is no picture and no sound.
APART = {
    "SD_X4Upscaler": "an upscaler: its image is given",
    "HunyuanImage21Refiner": "a refiner: its image is given",
    "HunyuanVideo15_SR_Distilled": "an upscaler: its video is given",
    "PiD": "an upscaler: its image is given",
    "SeedVR2": "an upscaler: its video is given",
    "Stable_Zero123": "turns an object that is given",
    "SV3D_u": "turns an object that is given",
    "SV3D_p": "turns an object that is given",
    "Hunyuan3Dv2_1": "makes shapes in three dimensions",
    "TripoSplat": "makes shapes in three dimensions",
    "Trellis2": "makes shapes in three dimensions",
    "WAN21_FlowRVS": "finds objects: its video is given",
    "RT_DETR_v4": "finds objects",
    "SAM3": "finds objects",
    "SAM31": "finds objects",
    "DepthAnything3": "measures depth",
}
# What is not tried yet.
UNTRIED: dict[str, str] = {}


def reasons() -> dict[str, str]:
    """Why each of these classes has no family of its own."""
    alike = {name: f"the model of {family}, in another size" for name, family in ALIKE.items()}
    return {**alike, **APART, **{name: f"not tried: {why}" for name, why in UNTRIED.items()}}
