"""The two widgets of a window in the noise schedule."""

from __future__ import annotations

from comfy_api.latest import io

START_TIP = (
    "Where guidance begins, as a position on the model's noise schedule from 0 (pure noise) "
    "to 1 (finished image). Later leaves the layout to the model."
)


END_TIP = (
    "Where guidance ends, from 0 (pure noise) to 1 (finished image). Later follows the "
    "energy longer, but tends to burn in texture; earlier leaves the details to the model."
)


def window_inputs(
    start_tip: str = START_TIP, end_tip: str = END_TIP, *, start: float = 0.0, end: float = 0.7
) -> list[io.Input]:
    """The two widgets, with the defaults measured to follow the energy without burnt-in texture."""
    limits = {"min": 0.0, "max": 1.0, "step": 0.01}
    return [
        io.Float.Input("start_percent", default=start, tooltip=start_tip, **limits),
        io.Float.Input("end_percent", default=end, tooltip=end_tip, **limits),
    ]


def window_fault(start: float | None, end: float | None) -> str | None:
    """Why a window cannot be used; None if it can, or if a value is linked and not known yet."""
    for name, value in (("start_percent", start), ("end_percent", end)):
        if value is not None and not 0.0 <= value <= 1.0:
            return (
                f"{name} must lie in [0, 1], got {value}: choose between 0 (pure noise) and 1 "
                f"(finished image)"
            )
    if start is not None and end is not None and start >= end:
        return (
            f"start_percent must be smaller than end_percent, got {start} and {end}: raise "
            f"end_percent or lower start_percent (strength 0 switches guidance off)"
        )
    return None
