"""Defaults that are a paper's or its code's own values."""

from __future__ import annotations

from inspect import signature

import pytest

from guidance_core.attention.maps import soft_masks
from guidance_core.energies.aesthetic import BEST
from guidance_core.energies.segmentation import IGNORED
from guidance_core.energies.structure import Structure
from guidance_core.energies.style import Style
from guidance_core.procedures.white_noise import WhiteNoise
from guidance_core.rules.backward import Backward
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.unified import Unified


@pytest.mark.parametrize(
    ("of", "published"),
    [
        (WhiteNoise, {"weight": 20.0, "steps": 5, "rolls": 5}),  # Pix2Pix-Zero, its code
        (soft_masks, {"sharpness": 10.0}),  # Self-Guidance, section 3.2
        (Style, {"layers": (2,)}),  # FreeDoM: the third block of CLIP's ViT-B/16
        (Structure, {"temperature": 0.07}),  # DiffuseIT, its code
        (Backward, {"lr": 0.01, "optimiser": "adam"}),  # Universal Guidance, its code
        (Posterior, {"root": True}),  # DPS and FreeDoM: the norm of a residual
        (Unified, {"iterations": 4}),  # TFG, its scripts
    ],
)
def test_defaults_are_the_published_ones(of, published):
    defaults = signature(of).parameters
    assert {name: defaults[name].default for name in published} == published


def test_the_best_rating_is_ten_and_class_255_is_ignored():
    """LAION-Aesthetics rates from 1 to 10; Pascal VOC leaves 255 open."""
    assert (BEST, IGNORED) == (10.0, 255)
