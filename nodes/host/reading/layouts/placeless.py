"""Models whose attention from places of an image to the tokens of a text is not read, and why."""

from __future__ import annotations

from torch import nn

from .transformer import family_of

SOUND = "sound has no places in an image"
REASONS = {
    "comfy.ldm.audio.dit.AudioDiffusionTransformer": SOUND,
    "comfy.ldm.ace.model.ACEStepTransformer2DModel": SOUND,
    "comfy.ldm.ace.ace_step15.AceStepConditionGenerationModel": SOUND,
    "comfy.ldm.minimax_music.dit.MiniMaxMusic3DiT": SOUND,
    "comfy.ldm.hunyuan3d.model.Hunyuan3Dv2": "it makes a solid from an image, without a text",
    "comfy.ldm.hunyuan3dv2_1.hunyuandit.HunYuanDiTPlain": (
        "it makes a solid from an image, without a text"
    ),
    "comfy.ldm.triposplat.model.LatentSeqMMFlowModel": (
        "it makes a solid from an image, without a text"
    ),
    "comfy.ldm.cascade.stage_c.StageC": (
        "its blocks mix the text with what is pooled of texts and images"
    ),
    "comfy.ldm.cascade.stage_b.StageB": "it sees a text as one vector",
    "comfy.ldm.seedvr.model.NaDiT": "its text is the same for every video",
    "comfy.ldm.wan.model_animate2.WanAnimate2Model": (
        "its blocks run twice, once for the driving video"
    ),
    "comfy.ldm.hidream_o1.model.HiDreamO1Transformer": (
        "its prompt is read inside of the model, token by token"
    ),
}


def reason(network: nn.Module) -> str | None:
    """Why nothing can be read in a network, in half a sentence; None where it is not known."""
    found: str | None = family_of(network, REASONS)
    return found
