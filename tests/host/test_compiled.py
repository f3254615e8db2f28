"""Gradients and attention of networks that torch.compile has changed."""

from __future__ import annotations

import pytest
import torch
from comfy_api.torch_helpers import set_torch_compile_wrapper
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.host.autograd import memory
from energy_guidance.tests.host import probe, tiny
from energy_guidance.tests.host.test_extra_passes import REQUESTS, Seeing

pytestmark = pytest.mark.once

FLUX = {"channels": 16, "width": 48, "pooled": 32}


def compiled(model):
    """As the host's node does, by a backend that rewrites what is in place but needs no C++."""
    model = model.clone()
    set_torch_compile_wrapper(model, "aot_eager")
    return model


def block_by_block(model):
    """In the manner of packs that compile blocks: they stand in the network itself."""
    model = model.clone()
    for name in ("double_blocks.0", "single_blocks.0"):
        block = model.model.diffusion_model.get_submodule(name)
        patch = torch.compile(block, backend="aot_eager")
        model.add_object_patch(f"diffusion_model.{name}", patch)
    return model


def slope(before, behind=None):
    """The gradient through a model, which agrees with differences; compiled behind guidance too."""
    records = []
    with torch.inference_mode():
        guided = guide.apply(before, [probe.Slopes()], trace=records.append)
        guided = guided if behind is None else behind(guided)
        tiny.sample(guided, steps=1, cfg=1.0, **FLUX)
    probe.agree(records[0])
    return records[0].terms["grad"]


@pytest.fixture(autouse=True)
def _forget():
    yield
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("way", "short"), [("before", False), ("behind", False), ("block by block", True)]
)
def test_slope_of_flux_whatever_was_compiled(way, short, monkeypatch):
    monkeypatch.setattr(memory, "is_short_of", lambda needed, device: short and needed > 0)
    model = tiny.flux()
    if way == "block by block":
        slope(block_by_block(model))
    elif way == "before":
        slope(compiled(model))
    else:
        slope(model, compiled)


def test_attention_and_features_are_read():
    model, seen = tiny.unet(), []
    with torch.inference_mode():
        for one in (model, compiled(model)):
            guided = guide.apply(one, [Seeing(seen.append, graph=False)])
            tiny.sample(guided, steps=1)
    for request in REQUESTS:
        for one, two in zip(seen[0].captures[request], seen[1].captures[request], strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
