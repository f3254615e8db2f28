"""What single models need to be differentiated."""

from __future__ import annotations

import pytest
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.tests.host import families
from energy_guidance.tests.host.families import columns

HIDREAM_O1 = pytest.mark.skipif("HiDream-O1" not in families.FAMILIES, reason="an older ComfyUI")


@HIDREAM_O1
@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_keys_of_the_prompt_that_stock_steps_keep_are_left_to_them(cfg):
    """The first step runs in inference mode, and leaves its keys for the second."""
    rule = columns.Slopes(strength=PercentWindow(0.5, 1.0))
    _, records = columns.sampled("HiDream-O1", [rule], cfg=cfg, steps=3)
    assert 0 < len(records) < 3
    if cfg == 1.0:
        assert all(record.terms["error"] < columns.BOUND for record in records)
    entries = families.model("HiDream-O1").model.diffusion_model._kv_cache_entries
    assert entries
    assert not any(part.requires_grad for entry in entries for pair in entry["kv"] for part in pair)


@HIDREAM_O1
def test_stock_runs_are_the_same_after_a_guided_one():
    before, _ = columns.sampled("HiDream-O1")
    columns.sampled("HiDream-O1", [columns.Forward(columns.ENERGY, columns.Constant(0.5))])
    after, _ = columns.sampled("HiDream-O1")
    assert before.equal(after)
