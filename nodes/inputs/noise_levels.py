"""Widgets of the noise levels along which a source image is inverted or recorded."""

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
            tooltip="Sampling steps: more reproduce the image more exactly and take longer. "
            "Use the same number in the edit.",
        ),
        io.Float.Input(
            "cfg",
            default=1.0,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            tooltip="How strongly the prompt is followed (classifier-free guidance). Keep 1 "
            "to invert: higher values reproduce the image less exactly. Anything but 1 needs "
            "the negative prompt.",
        ),
        io.Combo.Input(
            "scheduler",
            options=samplers.SCHEDULERS,
            default="normal",
            tooltip="Spacing of the noise levels; use the same in the edit. normal is the "
            "even spacing of DDIM.",
        ),
        io.Float.Input(
            "denoise",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How far up the noise levels to go, 0 to 1: 1 is pure noise, lower keeps "
            "more of the image and allows smaller changes.",
        ),
    ]
