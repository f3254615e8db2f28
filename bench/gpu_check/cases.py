"""The models that are measured, at their true sizes, and what a job is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

DTYPES = ("bf16", "fp8")
# How the host keeps and moves weights, and which attention kernel it takes.
MODES = ("dynamic VRAM off", "dynamic VRAM on", "sage attention", "flash attention")
KERNELS = {"sage attention": "sageattention", "flash attention": "flash_attn"}


@dataclass(frozen=True)
class Case:
    """A model at its true size.

    Arguments:
        key: its name on the command line.
        title: what people call it.
        family: its tiny relative in tests/host/families, which says what sampling it takes.
        settings: of its network, where they differ from the tiny one's.
        latent: shape without the batch.
        width, length: of its text states.
        weights: how many its network has.
        pooled: width of its pooled text.
        cfg: of its sampler.
        sigma: a noise level in the middle of a run.
    """

    key: str
    title: str
    family: str
    latent: tuple[int, ...]
    width: int
    length: int
    weights: int
    pooled: int | None = None
    cfg: float = 1.0
    sigma: float = 0.7
    settings: dict[str, Any] = field(default_factory=dict)


SD15 = {
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "num_heads": 8,
    "num_head_channels": -1,
    "context_dim": 768,
}
SDXL = {
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 2, 4],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_middle": 10,
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "num_head_channels": 64,
    "context_dim": 2048,
    "use_linear_in_transformer": True,
    "adm_in_channels": 2816,
}
FLUX1 = {
    "vec_in_dim": 768,
    "context_in_dim": 4096,
    "hidden_size": 3072,
    "mlp_ratio": 4.0,
    "num_heads": 24,
    "depth": 19,
    "depth_single_blocks": 38,
    "axes_dim": [16, 56, 56],
}
QWEN_IMAGE = {
    "num_layers": 60,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 3584,
    "axes_dims_rope": (16, 56, 56),
}
Z_IMAGE = {
    "dim": 3840,
    "cap_feat_dim": 2560,
    "n_layers": 30,
    "n_refiner_layers": 2,
    "n_heads": 30,
    "n_kv_heads": 30,
    "axes_lens": [1536, 512, 512],
    "ffn_dim_multiplier": 8.0 / 3.0,
    "multiple_of": 256,
}
CASES = (
    Case(
        *("sd15", "Stable Diffusion 1.5, 512 x 512", "SD 1.5", (4, 64, 64), 768, 77, 859_520_964),
        cfg=7.0,
        sigma=5.0,
        settings=SD15,
    ),
    Case(
        *("sdxl", "SDXL, 1024 x 1024", "SDXL", (4, 128, 128), 2048, 77, 2_567_463_684),
        pooled=1280,
        cfg=7.0,
        sigma=5.0,
        settings=SDXL,
    ),
    Case(
        *("z-image", "Z-Image, 1024 x 1024", "Z-Image", (16, 128, 128), 2560, 64, 6_154_908_736),
        settings=Z_IMAGE,
    ),
    Case(
        *("flux1", "FLUX.1 [dev], 1024 x 1024", "FLUX.1", (16, 128, 128), 4096, 512),
        weights=11_901_408_320,
        pooled=768,
        settings=FLUX1,
    ),
    Case(
        *("qwen-image", "Qwen-Image, 1328 x 1328", "Qwen-Image", (16, 1, 166, 166), 3584, 64),
        weights=20_430_401_088,
        cfg=4.0,
        settings=QWEN_IMAGE,
    ),
)


def jobs(chosen: Sequence[str], modes: Sequence[str]) -> Iterator[tuple[Case, str]]:
    """Every case in the first mode, then in the next: the most telling ones come first."""
    for mode in modes:
        for case in CASES:
            if case.key in chosen:
                yield case, mode
