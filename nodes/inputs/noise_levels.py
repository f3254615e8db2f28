"""Widgets of the noise levels that a source is followed along."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import samplers


def schedule_inputs(steps: int) -> list[io.Input]:
    """Widgets of the noise levels, as the stock KSampler has them."""
    return [
        io.Int.Input(
            "steps",
            default=steps,
            min=1,
            max=10000,
            tooltip="Sampling steps; the edit should take the same. Pix2Pix-Zero 50.",
        ),
        io.Float.Input(
            "cfg",
            default=1.0,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            tooltip="Scale of classifier-free guidance. Inversion drifts above 1: Pix2Pix-Zero "
            "and Direct Inversion invert with 1.",
        ),
        io.Combo.Input(
            "scheduler",
            options=samplers.SCHEDULERS,
            default="normal",
            tooltip="How the noise levels are spaced; the edit should take the same. The papers' "
            "even spacing is normal.",
        ),
        io.Float.Input(
            "denoise",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How far up the noise levels to go; the papers go all the way, less keeps "
            "more of the picture.",
        ),
    ]
