"""Single layers whose weight is quantised, against the weight that they stand for."""

from __future__ import annotations

import json

import comfy.ops
import pytest
import torch
from energy_guidance.nodes.host.autograd.weights import Loan

FP8 = torch.float8_e4m3fn
SCALE = 0.5


def scaled(values):
    """A Linear of the host's own quantised kind, in the words of its version."""
    bias = torch.zeros(values.shape[0])
    if hasattr(comfy.ops, "scaled_fp8_ops"):
        layer = comfy.ops.scaled_fp8_ops(override_dtype=FP8).Linear(32, 16)
        state = {"weight": values, "bias": bias.to(FP8), "scale_weight": torch.tensor(SCALE)}
        layer.load_state_dict(state, strict=False)
        return layer
    note = torch.tensor(list(json.dumps({"format": "float8_e4m3fn"}).encode()), dtype=torch.uint8)
    layer = comfy.ops.mixed_precision_ops({}, torch.float32, full_precision_mm=True).Linear(
        32, 16, device="cpu"
    )
    state = {"weight": values, "bias": bias, "weight_scale": torch.tensor(SCALE)}
    layer.load_state_dict({**state, "comfy_quant": note})
    return layer


def test_gradient_of_a_scaled_fp8_layer():
    with torch.inference_mode():
        values = torch.randn(16, 32).to(FP8)
        layer = scaled(values)
    x = torch.randn(2, 3, 32, requires_grad=True)
    seed = torch.randn(2, 3, 16)
    with Loan(layer)():
        (grad,) = torch.autograd.grad(layer(x), x, seed)
    torch.testing.assert_close(grad, seed @ (values.float() * SCALE), rtol=1e-5, atol=1e-6)
    assert "forward" not in vars(layer)


@pytest.mark.parametrize(
    ("kind", "options", "shape"),
    [
        ("Conv1d", {"padding": 1}, (2, 8, 9)),
        ("Conv2d", {"padding": 1, "stride": 2, "groups": 2}, (2, 8, 9, 7)),
        ("Conv3d", {"dilation": 2}, (1, 8, 7, 7, 7)),
        ("ConvTranspose2d", {"stride": 2, "padding": 1, "output_padding": 1}, (1, 8, 5, 6)),
    ],
)
def test_gradient_of_cast_convolutions(kind, options, shape):
    with torch.inference_mode():
        layer = getattr(comfy.ops.manual_cast, kind)(8, 4, 3, dtype=torch.float16, **options)
        for p in layer.parameters():
            p.copy_(torch.randn(p.shape))
    x = torch.randn(shape, requires_grad=True)
    plain = getattr(torch.nn, kind)(8, 4, 3, **options)
    plain.load_state_dict({k: v.float().clone() for k, v in layer.state_dict().items()})
    expected = plain(x)
    seed = torch.randn_like(expected)
    with Loan(layer)():
        out = layer(x)
        (grad,) = torch.autograd.grad(out, x, seed)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(grad, torch.autograd.grad(expected, x, seed)[0])
