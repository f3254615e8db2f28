"""Strength over the noise level: windows with a curve, and points drawn by hand."""

from .points import PercentPoints, Polyline, points_from
from .windows import CURVES, Constant, PercentWindow, Scaled, Window

__all__ = [
    "CURVES",
    "Constant",
    "PercentPoints",
    "PercentWindow",
    "Polyline",
    "Scaled",
    "Window",
    "points_from",
]
