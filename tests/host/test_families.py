"""Gradients through families beside U-Nets, SD3 and FLUX."""

from __future__ import annotations

import pytest
import torch
from energy_guidance.nodes.host.autograd import memory, recompute
from energy_guidance.tests.host import families

# The module of a network that holds the blocks, which a run computes twice if memory is short.
HOLDERS = {
    "PixArt Sigma": "blocks",
    "HunyuanDiT": "blocks",
    "Qwen-Image": "transformer_blocks",
    "Wan 2.1": "blocks",
    "Stable Audio": "transformer.layers",
    "ACE-Step": "transformer_blocks",
    "ACE-Step 1.5": "decoder.layers",
}


@pytest.mark.parametrize("family", [name for name in HOLDERS if name in families.FAMILIES])
def test_slope_is_that_of_finite_differences(family):
    families.slope(families.FAMILIES[family].model(), family)


@pytest.mark.parametrize("family", [name for name in HOLDERS if name in families.FAMILIES])
def test_the_blocks_of_a_network_are_found(family):
    network = families.FAMILIES[family].model().model.diffusion_model
    found = recompute.blocks_of(network)
    blocks = list(network.get_submodule(HOLDERS[family]))
    assert blocks
    assert all(any(block is one for one in found) for block in blocks)
    inner = [part for block in found for part in block.modules() if part is not block]
    assert not any(part is one for part in inner for one in found)


@pytest.mark.parametrize(
    "family", [name for name in families.FAMILIES if "Audio" in name or "ACE" in name]
)
def test_blocks_of_audio_computed_twice_give_the_same_gradient(family, monkeypatch):
    model, calls = families.FAMILIES[family].model(), []
    whole = families.slope(model, family)
    apply = recompute._Recomputed.apply
    monkeypatch.setattr(recompute._Recomputed, "apply", lambda *a: calls.append(a) or apply(*a))
    monkeypatch.setattr(memory, "is_short_of", lambda needed, device: needed > 0)
    torch.testing.assert_close(families.slope(model, family), whole, rtol=1e-4, atol=1e-6)
    assert calls
