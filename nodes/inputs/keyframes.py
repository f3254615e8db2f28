"""The widget of keyframes: boxes and points that move along a video."""

from __future__ import annotations

from comfy_api.latest import io

from ...guidance_core.attention.keyframes import Keyframes
from .sockets import advanced


def keyframes_input(what: str, numbers: str, example: str) -> io.Input:
    """Keyframes as text; optional, because workflows of earlier versions lack it."""
    return advanced(
        io.String.Input(
            "keyframes",
            default="",
            optional=True,
            tooltip=f"For videos: {what} that moves, in place of the one above. Keyframes are "
            f"separated by semicolons: a time from 0 (first frame) to 1 (last), a colon and "
            f"{numbers}, such as {example}. In between it moves in a straight line.",
        )
    )


def keyframes_of(text: str) -> Keyframes | None:
    """The keyframes that a text lists, between semicolons or on lines; None if it is empty.

    Raises:
        ValueError: a part without a colon, or with something else than numbers.
    """
    parts = [part.strip() for part in text.replace(";", "\n").splitlines() if part.strip()]
    return Keyframes(tuple(map(_keyframe, parts))) if parts else None


def _keyframe(text: str) -> tuple[float, tuple[float, ...]]:
    time, colon, values = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return float(time), tuple(float(value) for value in values.replace(",", " ").split())
    except ValueError:
        raise ValueError(
            f"expected a keyframe as a time, a colon and numbers, got '{text}': write for example "
            "0: 0.1 0.2 0.5 0.6; 1: 0.5 0.2 0.9 0.6"
        ) from None
