"""Gradients through FLUX and its relatives, whatever way their weights are kept."""

from __future__ import annotations

import pytest
import torch
from energy_guidance.nodes.host.autograd import memory
from energy_guidance.tests.host import probe, storages


def slope(family, model):
    return probe.slopes_at_first_step(model, **storages.sample_options(family))


@pytest.mark.parametrize("lora", [False, True], ids=["plain", "lora"])
@pytest.mark.parametrize("storage", storages.STORAGES)
@pytest.mark.parametrize("family", storages.ONE_EVERYWHERE)
def test_slope_through_stored_weights(family, storage, lora):
    model = storages.patcher(family, storage, lora=lora)
    record = slope(family, model)
    grad = record.terms["grad"]
    expected = slope(family, storages.settled(family, model)).terms["grad"]
    # Where a LoRA waits, the host unpacks the weight, and rounds nothing.
    if storage in storages.ROUNDED and not lora:
        cosine = torch.nn.functional.cosine_similarity(grad.flatten(), expected.flatten(), dim=0)
        assert cosine > storages.ROUNDED[storage]
        assert 0.9 < grad.norm() / expected.norm() < 1.1
        return
    probe.agree(record)
    torch.testing.assert_close(grad, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("family", storages.FAMILIES)
def test_fetched_blocks_computed_twice_give_the_same_gradient(family, monkeypatch):
    model = storages.patcher(family, "e4m3", lora=True)
    whole = slope(family, model)
    monkeypatch.setattr(memory, "is_short_of", lambda needed, device: needed > 0)
    twice = slope(family, model)
    torch.testing.assert_close(twice.terms["grad"], whole.terms["grad"], rtol=1e-4, atol=1e-7)
