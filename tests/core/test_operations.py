"""Counted operations and live memory, against what is worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from bench.cost import page
from bench.cost.live import Live
from bench.cost.operations import counted

FLOAT = 4  # bytes


def test_a_linear_layer_costs_its_product_once_more_for_its_input():
    layer, x = nn.Linear(8, 16).requires_grad_(False), torch.ones(4, 8, requires_grad=True)
    product = 2 * 4 * 8 * 16
    assert counted(lambda: layer(x)) == product
    assert counted(lambda: layer(x).sum().backward()) == 2 * product


def test_a_convolution_costs_its_weights_at_every_pixel():
    layer = nn.Conv2d(3, 5, 3, padding=1).requires_grad_(False)
    x = torch.ones(2, 3, 7, 6, requires_grad=True)
    product = 2 * 2 * 7 * 6 * 5 * 3 * 9
    assert counted(lambda: layer(x)) == product
    assert counted(lambda: layer(x).sum().backward()) == 2 * product


def attention(heads=2, length=16, width=8):
    x = torch.ones(1, heads, length, width, requires_grad=True)
    return x, 2 * heads * length * length * width


@pytest.mark.parametrize("fake", [False, True])
def test_attention_computes_its_weights_again_in_the_backward_pass(fake):
    mode = FakeTensorMode() if fake else torch.enable_grad()
    with mode:
        x, product = attention()
        attend = lambda: nn.functional.scaled_dot_product_attention(x, x, x)
        assert counted(attend) == 2 * product
        assert counted(lambda: attend().sum().backward()) == 2 * product + 5 * product


@pytest.mark.parametrize("fake", [False, True])
def test_memory_is_counted_while_somebody_holds_it(fake):
    with FakeTensorMode() if fake else torch.enable_grad(), Live() as live:
        x = torch.ones(100)
        y = x + 1
        assert live.now == 2 * 100 * FLOAT
        del y
        assert live.now == 100 * FLOAT
        view = x[:50].view(5, 10)
        assert live.now == 100 * FLOAT
        del x, view
        assert live.now == 0
    assert live.peak == 2 * 100 * FLOAT


@pytest.mark.parametrize("fake", [False, True])
def test_what_a_graph_saves_is_alive_until_it_is_gone(fake):
    with FakeTensorMode() if fake else torch.enable_grad():
        x = torch.ones(100, requires_grad=True)
        with Live() as live:
            y = x.exp().exp().sum()  # saves both results
            assert live.now == 2 * 100 * FLOAT + FLOAT
            y.backward()
            assert live.now == FLOAT + 100 * FLOAT  # the gradient


def test_the_page_says_times_plain(tmp_path):
    case = {
        "name": "sd15-clip",
        "plain_tflop": 1.607,
        "operations": {"plain": 1.0, "forward/auto": 1.8},
        "live_mb": {"plain": 100, "forward/auto": 150},
        "weights_mb": {"plain": 400, "guided": 450},
    }
    path = tmp_path / "page.md"
    path.write_text(f"before\n{page.START}\nold\n{page.END}\nafter\n")
    page.write(path, [case])
    text = path.read_text()
    assert "old" not in text
    assert "| forward/auto | 1.80 |" in text
    assert "| forward/auto | 1.50 |" in text
    assert "| forward/auto | 1.20 |" in text  # 450 + 150 beside 400 + 100
    assert text.startswith("before")
    assert text.endswith("after\n")
