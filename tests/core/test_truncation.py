"""Gradients through the last blocks of a network, against the product of their matrices."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from guidance_core.rules.forward import Forward
from guidance_core.rules.manifold import Manifold
from guidance_core.schedules import Constant
from guidance_core.steering import depth_of
from guidance_core.truncation import truncated
from tests.core.toys import DOUBLE, assert_close, seeded, toward

WIDTH = 5
EYE = torch.eye(WIDTH, dtype=DOUBLE)


class Residual(nn.Module):
    """h + W h, told beside a text that it changes too, and overwriting what it is given."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.matrix = 0.3 * seeded(WIDTH, WIDTH, seed=seed)

    def forward(self, h, text, *, scale=None):
        """The new h and text."""
        step = h @ self.matrix.T * (1 if scale is None else scale)
        return h.add_(step), text.mul_(2)


def network(count=4):
    return [Residual(seed) for seed in range(count)]


def run(blocks, x, text, scale=None):
    h, text = 1 * x, 1 * text
    for block in blocks:
        h, text = block(h, text, scale=scale)
    return h, text


@pytest.mark.parametrize(("depth", "kept"), [(1.0, 4), (0.75, 3), (0.5, 2), (0.26, 2), (0.01, 1)])
def test_the_gradient_is_that_of_the_kept_blocks_alone(depth, kept):
    blocks, x = network(), seeded(1, WIDTH, seed=9).requires_grad_()
    text = seeded(1, 3, seed=8).requires_grad_()
    whole = run(blocks, x, text)
    with truncated(blocks[::-1], depth):
        out, told = run(blocks, x, text)
    assert torch.equal(out, whole[0])
    assert torch.equal(told, whole[1])
    jacobian = EYE
    for block in blocks[len(blocks) - kept :]:
        jacobian = (EYE + block.matrix) @ jacobian
    seed = seeded(1, WIDTH, seed=7)
    (grad,) = torch.autograd.grad(out, x, seed, retain_graph=True)
    assert_close(grad, seed @ jacobian)
    (grad,) = torch.autograd.grad(told.sum(), text)
    assert_close(grad, torch.full_like(text, 2.0**kept))  # a block left out passes it on as it is


def test_an_input_of_another_shape_gets_no_gradient():
    blocks, x = network(2), seeded(1, WIDTH).requires_grad_()
    scale = torch.ones(1, dtype=DOUBLE, requires_grad=True)
    with truncated(blocks[::-1], 0.5):
        out, _ = run(blocks, x, seeded(1, 3), scale)
    (grad,) = torch.autograd.grad(out.sum(), scale)
    last = blocks[1].matrix @ run(blocks[:1], x, seeded(1, 3))[0].detach().T
    assert_close(grad, last.sum().reshape(1))


def test_a_block_that_changes_the_shape_is_a_constant():
    narrow = nn.Linear(WIDTH, 2, dtype=DOUBLE).requires_grad_(False)
    x = seeded(1, WIDTH).requires_grad_()
    with truncated([nn.Identity(), narrow], 0.5):
        out = narrow(x)
    assert not out.requires_grad
    assert torch.equal(out, narrow(x))


def test_without_a_graph_and_afterwards_blocks_are_their_own():
    blocks, x = network(), seeded(1, WIDTH)
    with torch.no_grad(), truncated(blocks, 0.5):
        assert not run(blocks, x, seeded(1, 3))[0].requires_grad
    with pytest.raises(ValueError, match="broken"), truncated(blocks, 0.5):
        raise ValueError("broken")
    assert all("forward" not in vars(block) for block in blocks)


def test_the_rule_that_goes_deepest_counts():
    energy, on, off = toward(), Constant(), Constant(0.0)
    shallow, half = Forward(energy, on, depth=0.2), Forward(energy, on, depth=0.5)
    assert depth_of([shallow, half, Manifold(energy, on)], 1.0) == 0.5
    assert depth_of([shallow, Forward(energy, off)], 1.0) == 0.2
    assert depth_of([shallow, Forward(energy, on)], 1.0) == 1.0
    assert depth_of([Manifold(energy, on)], 1.0) == 1.0


@pytest.mark.parametrize("depth", [0.0, -0.5, 1.1, float("nan")])
def test_a_depth_outside_of_its_range_is_refused(depth):
    with pytest.raises(ValueError, match="depth must be in"):
        Forward(toward(), Constant(), depth=depth)
