"""Widgets that the nodes around a sampler share."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import samplers

VAE_TIP = "Decodes the latent for energies that look at the image; use the model's own VAE."
NO_VAE_TIP = "Not needed with taesd, fitted or rgb."

RECURRENCES_TIP = (
    "How often each step is taken; 1 is off, 2 to 4 are usual. After each repeat, noise is "
    "added back and the step is taken again: the image follows the guidance better, at the "
    "cost of the step each time. Samplers that use earlier steps start afresh."
)

TRIES_TIP = (
    "How often an image may be tried; 1 is off, 3 is usual. Where its energies are not reached at "
    "the end of the window, it goes back to the window's start with fresh noise, and the better "
    "try is kept. The whole batch takes as long as its last image."
)

TRACE_TIP = (
    "Energy, gradient and step size at every sampling step, filled during sampling; for Plot "
    "Guidance Trace."
)


def recurrences_input() -> io.Input:
    """How often each step is repeated."""
    return io.Int.Input("recurrences", default=2, min=1, max=100, tooltip=RECURRENCES_TIP)


def tries_input(default: int = 1, *, optional: bool = False) -> io.Input:
    """How often an image may be tried."""
    limits = {"min": 1, "max": 100}
    return io.Int.Input("tries", default=default, optional=optional, tooltip=TRIES_TIP, **limits)


def seed_input(tooltip: str) -> io.Input:
    """Seed of a run's noise, which the frontend may change after each."""
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=0xFFFFFFFFFFFFFFFF,
        control_after_generate=True,
        tooltip=tooltip,
    )


def first_seed_input(tooltip: str = "The first seed; each run takes the next one.") -> io.Input:
    """Seed of the first of several runs, with room for theirs."""
    return io.Int.Input("seed", default=0, min=0, max=0xFFFFFFFFFFFFFF, tooltip=tooltip)


def negative_input(tooltip: str = "Needed only where cfg is not 1.") -> io.Input:
    """The negative prompt, where it may be missing."""
    return io.Conditioning.Input("negative", optional=True, tooltip=tooltip)


def sampler_inputs() -> list[io.Input]:
    """Steps, CFG, sampler and scheduler of the stock KSampler."""
    return [
        io.Int.Input(
            "steps",
            default=20,
            min=1,
            max=10000,
            tooltip="Sampling steps: more give guidance more chances to act, and take longer.",
        ),
        io.Float.Input(
            "cfg",
            default=4.0,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            tooltip="How strongly the prompt is followed (classifier-free guidance). Higher "
            "leaves the energy less freedom; 1 switches it off.",
        ),
        io.Combo.Input(
            "sampler_name",
            options=samplers.SAMPLERS,
            default="euler",
            tooltip="Any sampler of ComfyUI. euler (the same as DDIM) adds no noise; "
            "ancestral ones add fresh noise at every step, which often lets guidance through.",
        ),
        io.Combo.Input(
            "scheduler",
            options=samplers.SCHEDULERS,
            default="normal",
            tooltip="Spacing of the noise levels. normal is the even spacing of DDIM.",
        ),
    ]


def decoder_input() -> io.Input:
    """What decodes for energies."""
    return io.Combo.Input(
        "decoder",
        options=["auto", "vae", "taesd", "rgb", "fitted"],
        default="auto",
        tooltip="What turns the latent into the image that an energy looks at. auto: the first "
        "there is of the model's tiny decoder in models/vae_approx, a decoder of Fit Fast Decoder "
        "(Shapes brings its own), and the VAE; always the VAE for measurements. vae: exact, most "
        "time and memory. taesd: the tiny decoder. fitted: that of Fit Fast Decoder. rgb: one "
        "linear layer, nearly free, shows colours only. taesd, fitted and rgb need no VAE.",
    )
