"""Gradients through the host's model, whatever way its weights are kept."""

from __future__ import annotations

import comfy.ops
import pytest
import torch
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.host.autograd import memory, weights
from energy_guidance.tests.host import probe, tiny

FP8 = torch.float8_e4m3fn


def slopes(model, **options):
    """Run two steps with a rule that compares slopes, inside inference mode as the host does."""
    records = []
    with torch.inference_mode():
        guided = guide.apply(model, [probe.Slopes()], trace=records.append)
        tiny.sample(guided, steps=2, **{"cfg": 1.0, **options})
    assert len(records) == 2
    return records


@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
def test_slope_through_resident_weights(kind):
    for record in slopes(tiny.unet(kind)):
        probe.agree(record)


def test_slope_is_that_of_the_positive_branch_whatever_cfg():
    same = tiny.cond(1)
    for record in slopes(tiny.unet(), cfg=5.0, positive=same, negative=tiny.cond(1)):
        probe.agree(record)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, FP8])
def test_slope_through_cast_weights(dtype):
    for record in slopes(tiny.unet(dtype=dtype, cast=True)):
        probe.agree(record)


def test_cast_weights_give_the_gradient_of_the_same_resident_weights():
    cast = tiny.unet(dtype=FP8, cast=True)
    plain = tiny.unet()
    with torch.inference_mode():
        stored = cast.model.diffusion_model.state_dict()
        plain.model.diffusion_model.load_state_dict({k: v.float() for k, v in stored.items()})
    for a, b in zip(slopes(cast), slopes(plain), strict=True):
        torch.testing.assert_close(a.terms["grad"], b.terms["grad"], rtol=1e-4, atol=1e-7)


def test_slope_through_weights_patched_on_the_fly():
    model = tiny.unet()
    for module in model.model.diffusion_model.modules():
        if isinstance(module, comfy.ops.CastWeightBiasOp) and hasattr(module, "weight"):
            module.weight_function = [lambda w: w * 1.1]
            module.bias_function = []
    for record in slopes(model):
        probe.agree(record)


def test_slope_through_flux():
    for record in slopes(tiny.flux(), channels=16, width=48, pooled=32):
        probe.agree(record)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (tiny.unet, {}),
        (lambda: tiny.unet(dtype=FP8, cast=True), {}),
        (tiny.flux, {"channels": 16, "width": 48, "pooled": 32}),
    ],
)
def test_blocks_computed_twice_give_the_same_gradient(make, options, monkeypatch):
    model = make()
    whole = slopes(model, **options)
    monkeypatch.setattr(memory, "is_short_of", lambda needed, device: needed > 0)
    before = [sorted(vars(m)) for m in model.model.modules()]
    for again, once in zip(slopes(model, **options), whole, strict=True):
        torch.testing.assert_close(again.terms["grad"], once.terms["grad"], rtol=1e-4, atol=1e-7)
    assert [sorted(vars(m)) for m in model.model.modules()] == before


def test_fetched_layers_save_no_weight():
    model = tiny.unet(dtype=FP8, cast=True)
    sizes = {p.numel() for p in model.model.diffusion_model.parameters() if p.ndim > 1}
    saved = []
    keep = lambda t: (saved.append((t.numel(), t.dtype, t.shape)), t)[1]
    shapes = {tuple(p.shape) for p in model.model.diffusion_model.parameters() if p.ndim > 1}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        slopes(model)
    assert sizes
    assert not [shape for _, _, shape in saved if tuple(shape) in shapes and len(shape) == 4]


def test_view_shares_memory_and_is_normal():
    with torch.inference_mode():
        tensor = torch.randn(3, 4).t()
        poisoned = torch.nn.Parameter(torch.ones(2))
    with torch.inference_mode():
        poisoned.data = poisoned.data.clone()
    lent = weights.view(tensor)
    assert lent.data_ptr() == tensor.data_ptr()
    assert lent.stride() == tensor.stride()
    assert weights.tracks_version(lent)
    assert not weights.tracks_version(tensor)
    assert weights.tracks_version(weights.view(poisoned))


def test_a_network_moved_under_inference_mode_still_guides():
    network = torch.nn.Conv2d(4, 2, 3)
    with torch.inference_mode():
        for p in network.parameters():
            p.data = p.data.clone()
    energy = probe.Nearness(networks=(network,))
    records = []
    with torch.inference_mode():
        rule = probe.Slopes(energy)
        tiny.sample(guide.apply(tiny.unet(), [rule], trace=records.append), 1, cfg=1.0)
    probe.agree(records[0])


def test_attention_of_another_pack_is_chained_and_kept_differentiable():
    seen = []

    def override(kernel, *args, **kwargs):
        seen.append(kernel.__name__)
        return kernel(*args, **kwargs).detach()

    model = tiny.unet()
    model.model_options["transformer_options"]["optimized_attention_override"] = override
    for record in slopes(model):
        probe.agree(record)
    assert "attention_pytorch" in seen
