"""Wan 2.1 and 2.2, and what was trained of them to follow images, cameras, poses and sound."""

from __future__ import annotations

import types

from energy_guidance.tests.host.families.family import Family, draw

WAN = {
    "image_model": "wan2.1",
    "model_type": "t2v",
    "patch_size": (1, 2, 2),
    "in_dim": 16,
    "dim": 96,
    "ffn_dim": 96,
    "freq_dim": 32,
    "text_dim": 32,
    "out_dim": 16,
    "num_heads": 2,
    "num_layers": 2,
    "text_len": 16,
    "qk_norm": True,
    "cross_attn_norm": True,
    "eps": 1e-6,
}
FRAMES = (16, 2, 4, 4)


def _of(kind, **settings):
    """Settings of a kind of Wan."""
    return {**WAN, "model_type": kind, **settings}


def _seen_image(seed):
    states = draw(3, 1, 5, 1280)
    return {"clip_vision_output": types.SimpleNamespace(penultimate_hidden_states=states)}


def _pose(seed):
    return {
        "reference_latents": [draw(4, 1, 16, 1, 4, 4)],
        "pose_video_latent": draw(5, 1, *FRAMES),
    }


FROM_IMAGE = {"image_to_video": True}
FAMILIES = {
    "Wan 2.1": Family("WAN21_T2V", "WAN21", WAN, (16, 1, 4, 4), wide=(16, 3, 4, 6)),
    "Wan 2.1 image to video": Family(
        *("WAN21_I2V", "WAN21", _of("i2v", in_dim=36), FRAMES), conds=_seen_image, kwargs=FROM_IMAGE
    ),
    "Wan 2.1 VACE": Family(
        *("WAN21_Vace", "WAN21_Vace", _of("vace", vace_layers=1, vace_in_dim=96), FRAMES)
    ),
    "Wan 2.1 Camera": Family(
        *("WAN21_Camera", "WAN21_Camera", _of("camera", in_dim=32), FRAMES), conds=_seen_image
    ),
    "Wan 2.1 HuMo": Family(
        *("WAN21_HuMo", "WAN21_HuMo", _of("humo"), FRAMES),
        conds=lambda seed: {"reference_latents": [draw(4, 1, 16, 1, 4, 4)]},
    ),
    "Wan 2.1 SCAIL": Family(
        "WAN21_SCAIL", "WAN21_SCAIL", _of("scail", in_dim=20), FRAMES, conds=_pose
    ),
    "SCAIL-2": Family(
        "WAN21_SCAIL2", "WAN21_SCAIL2", _of("scail2", in_dim=20), FRAMES, conds=_pose
    ),
    "Wan 2.1 causal": Family("WAN21_CausalAR_T2V", "WAN21_CausalAR", WAN, FRAMES),
    "Wan 2.2 5B": Family(
        *("WAN22_T2V", "WAN22", _of("t2v", in_dim=48, out_dim=48), (48, 2, 4, 4)),
        wide=(48, 2, 4, 6),
        kwargs=FROM_IMAGE,
    ),
    "Wan 2.2 Camera": Family(
        *("WAN22_Camera", "WAN21_Camera", _of("camera_2.2", in_dim=36), FRAMES)
    ),
    "Wan 2.2 sound to video": Family(
        *("WAN22_S2V", "WAN22_S2V", _of("s2v", audio_dim=32, audio_inject_layers=[0]), FRAMES)
    ),
    "Wan 2.2 Animate": Family(
        *("WAN22_Animate", "WAN22_Animate", _of("animate", in_dim=36, num_layers=5), FRAMES),
        conds=lambda seed: {**_seen_image(seed), "pose_video_latent": draw(5, 1, 16, 1, 4, 4)},
        kwargs=FROM_IMAGE,
    ),
    "Wan Animate 2": Family(
        *("WAN_Animate2", "WAN_Animate2", _of("animate2", in_dim=36), FRAMES), conds=_seen_image
    ),
    "WanDancer": Family(
        *("WAN22_WanDancer", "WAN22_WanDancer"),
        _of("wandancer", in_dim=36, audio_inject_layers=[0], music_dim=32, music_latent_dim=32),
        FRAMES,
        conds=_seen_image,
    ),
}
