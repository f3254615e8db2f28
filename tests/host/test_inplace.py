"""Gradients past patches that write into the activations they are given."""

from __future__ import annotations

import importlib

import pytest
import torch
from energy_guidance.nodes.host.autograd import memory
from energy_guidance.tests.host import probe, tiny

FLUX = {"channels": 16, "width": 48, "pooled": 32}


def slope(model, **options):
    """The gradient through a model, which agrees with differences."""
    record = probe.slopes_at_first_step(model, **options)
    probe.agree(record)
    return record.terms["grad"]


def written(value):
    """Write into what a patch was given, and return it."""
    for tensor in value.values() if isinstance(value, dict) else [value]:
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
            tensor.mul_(0.9).sub_(tensor.mean(-1, keepdim=True) * 0.3)
    return value


def first(value, *rest):
    return written(value)


def all_of_two(h, skip, options):
    return written(h), written(skip)


def all_of_three(q, k, v, extra_options):
    return written(q), written(k), written(v)


def patched(model, name, patch):
    with torch.inference_mode():
        model = model.clone()
        model.set_model_patch(patch, name)
    return model


UNET_PATCHES = {
    "input_block_patch": first,
    "input_block_patch_after_skip": first,
    "output_block_patch": all_of_two,
    "emb_patch": first,
    "middle_patch": first,
    "attn1_patch": all_of_three,
    "attn2_patch": all_of_three,
    "attn1_output_patch": first,
    "attn2_output_patch": first,
}


@pytest.mark.parametrize("short", [False, True], ids=["whole", "recomputed"])
@pytest.mark.parametrize("name", UNET_PATCHES)
def test_slope_past_patches_of_a_unet(name, short, monkeypatch):
    monkeypatch.setattr(memory, "is_short_of", lambda needed, device: short and needed > 0)
    slope(patched(tiny.unet(), name, UNET_PATCHES[name]))


@pytest.mark.parametrize("short", [False, True], ids=["whole", "recomputed"])
@pytest.mark.parametrize("name", ["double_block", "post_input", "attn1_output_patch"])
def test_slope_past_patches_of_flux(name, short, monkeypatch):
    monkeypatch.setattr(memory, "is_short_of", lambda needed, device: short and needed > 0)
    slope(patched(tiny.flux(), name, first), **FLUX)


@pytest.mark.parametrize("kind", ["FreeU", "FreeU_V2"])
@pytest.mark.parametrize("cast", [False, True])
def test_slope_past_freeu(kind, cast):
    node = getattr(importlib.import_module("comfy_extras.nodes_freelunch"), kind)
    model = tiny.unet(dtype=torch.float8_e4m3fn, cast=True) if cast else tiny.unet()
    with torch.inference_mode():
        settings = (model, 1.3, 1.4, 0.9, 0.2)
        new = hasattr(node, "execute")
        patched = node.execute(*settings)[0] if new else node().patch(*settings)[0]
    assert not torch.allclose(slope(patched), slope(model), rtol=1e-3)
