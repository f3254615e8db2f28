"""The embedded host: Shapes in diffusers, sampled under guidance without ComfyUI.

All the pack needs of a host is a denoiser. This one is written out in full, so it also shows how to
use guidance_core in a sampler of your own. Noise levels, noise and the Euler step are ComfyUI's, so
that both hosts give the same latents; noise put back after a step (eta) is drawn differently.
"""

from tools.diffusers_host.model import (
    DECODERS,
    FAST_DECODER,
    THREE_OBJECTS,
    TURBO,
    WEIGHTS,
    Shapes,
    guide_network,
    load,
)
from tools.diffusers_host.noise_levels import LEVELS, NoiseLevels
from tools.diffusers_host.reading import reading
from tools.diffusers_host.samplers import ancestral, ancestral_share, euler
from tools.diffusers_host.sampling import Settings, denoiser, sample, starting_noise

__all__ = [
    "DECODERS",
    "FAST_DECODER",
    "LEVELS",
    "THREE_OBJECTS",
    "TURBO",
    "WEIGHTS",
    "NoiseLevels",
    "Settings",
    "Shapes",
    "ancestral",
    "ancestral_share",
    "denoiser",
    "euler",
    "guide_network",
    "load",
    "reading",
    "sample",
    "starting_noise",
]
