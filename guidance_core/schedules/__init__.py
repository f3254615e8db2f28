"""Strength over the noise level: windows with a curve, points drawn by hand, each n-th step."""

from .moved import WhenMoved
from .points import PercentPoints, Polyline, points_from
from .steps import EveryNth
from .thresholds import PercentThresholds, Thresholds, thresholds_from
from .windows import CURVES, Constant, PercentWindow, Scaled, Window

__all__ = [
    "CURVES",
    "Constant",
    "EveryNth",
    "PercentPoints",
    "PercentThresholds",
    "PercentWindow",
    "Polyline",
    "Scaled",
    "Thresholds",
    "WhenMoved",
    "Window",
    "points_from",
    "thresholds_from",
]
