"""The two widgets of a window of the run."""

from __future__ import annotations

from comfy_api.latest import io

START_TIP = (
    "Where guidance begins, as a share of the model's noise schedule: 0 is pure noise. FreeDoM "
    "and MPGD begin at 0.3, Universal Guidance and TFG at 0."
)


END_TIP = (
    "Where guidance ends: 1 is the finished picture. Late guidance tends to burn texture in: "
    "FreeDoM and MPGD stop at 0.7, Universal Guidance and TFG go on to 1."
)


def window_inputs() -> list[io.Input]:
    """The two widgets of a window, with the defaults that were measured to obey without burning."""
    limits = {"min": 0.0, "max": 1.0, "step": 0.01}
    return [
        io.Float.Input("start_percent", default=0.0, tooltip=START_TIP, **limits),
        io.Float.Input("end_percent", default=0.7, tooltip=END_TIP, **limits),
    ]


def window_fault(start: float | None, end: float | None) -> str | None:
    """What is wrong with a window, if anything; None comes over a link, not known yet."""
    for name, value in (("start_percent", start), ("end_percent", end)):
        if value is not None and not 0.0 <= value <= 1.0:
            return (
                f"{name} must lie in [0, 1], got {value}: 0 is pure noise, 1 the finished picture"
            )
    if start is not None and end is not None and start >= end:
        return (
            f"start_percent must be smaller than end_percent, got {start} and {end}: raise "
            f"end_percent or lower start_percent (strength 0 switches guidance off)"
        )
    return None
