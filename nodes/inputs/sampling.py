"""Widgets that the nodes around a sampler share."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import samplers

VAE_TIP = (
    "Decodes inside the gradient, for energies that look at the picture (Universal Guidance and "
    "FreeDoM used the model's own VAE)."
)


RECURRENCES_TIP = (
    "How often each step is taken: 1 is off; otherwise noise is put back after it and the step is "
    "taken again, so that guidance and model can agree, at the same cost once more. Universal "
    "Guidance 2 to 10, FreeDoM 3, TFG 1. Samplers that remember earlier steps start afresh each "
    "time."
)


TRACE_TIP = (
    "Energy, gradient and push of every step, filled while sampling; for Plot Guidance Trace."
)


def recurrences_input() -> io.Input:
    """How often each step is repeated."""
    return io.Int.Input("recurrences", default=2, min=1, max=100, tooltip=RECURRENCES_TIP)


def sampler_inputs() -> list[io.Input]:
    """Steps, CFG, sampler and scheduler of the stock KSampler."""
    return [
        io.Int.Input(
            "steps",
            default=20,
            min=1,
            max=10000,
            tooltip="Sampling steps. Universal Guidance took 250 to 500, FreeDoM and TFG 100.",
        ),
        io.Float.Input(
            "cfg",
            default=4.0,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            tooltip="Scale of classifier-free guidance, i.e. of the prompt. Universal "
            "Guidance used 1.5 to 7.5 beside an energy, MPGD 5, TFG 7.5.",
        ),
        io.Combo.Input(
            "sampler_name",
            options=samplers.SAMPLERS,
            default="euler",
            tooltip="Any of the host's samplers. The papers used DDIM, which euler is; "
            "ancestral ones add noise, as FreeDoM and TFG did.",
        ),
        io.Combo.Input(
            "scheduler",
            options=samplers.SCHEDULERS,
            default="normal",
            tooltip="How the noise levels are spaced. The papers' even spacing is normal.",
        ),
    ]


def decoder_input() -> io.Input:
    """What decodes for energies."""
    return io.Combo.Input(
        "decoder",
        options=["auto", "vae", "taesd", "rgb"],
        default="auto",
        tooltip="What turns latents into the picture that an energy looks at. vae: "
        "exact, as in the papers. taesd: a small decoder under models/vae_approx, far "
        "less memory. rgb: one linear layer, nearly free, colours only. auto: the VAE "
        "when one is connected.",
    )
