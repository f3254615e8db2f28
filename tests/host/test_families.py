"""Gradients through families beside U-Nets, SD3 and FLUX."""

from __future__ import annotations

import pytest
from energy_guidance.tests.host import families

EACH = pytest.mark.parametrize("family", families.FAMILIES)


@EACH
def test_slope_is_that_of_finite_differences(family):
    families.slope(families.FAMILIES[family].model(), family)
