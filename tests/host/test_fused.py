"""Derivatives of comfy_kitchen's fused kernels, against finite differences."""

from __future__ import annotations

import importlib

import comfy.ldm.flux.math as flux_math
import pytest
import torch
from energy_guidance.nodes.host.autograd import fused, kernels
from energy_guidance.tests.host import families

pytest.importorskip("comfy_kitchen")


def numbers(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def turns(half=4):
    """Rotations of 5 positions: shape (1, 5, 1, half, 2, 2)."""
    angles = numbers(1, 5, 1, half)
    rows = (angles.cos(), -angles.sin(), angles.sin(), angles.cos())
    return torch.stack(rows, -1).unflatten(-1, (2, 2))


X, Y, SCALE = numbers(2, 5, 3, 8), numbers(2, 5, 3, 8) + 1, numbers(8) + 2
GIVEN = {
    "apply_rope": (X, Y, turns()),
    "apply_rope1": (X, turns()),
    "apply_rope_split_half": (X, Y, turns()),
    "apply_rope_split_half1": (X, turns()),
    "rms_rope": (X, Y, turns(), SCALE, SCALE * 0.5, 1e-3),
    "rms_rope1": (X, turns(), SCALE, 1e-3),
    "rms_rope_split_half": (X, Y, turns(), SCALE, SCALE * 0.5, 1e-3),
    "rms_rope_split_half1": (X, turns(), SCALE, 1e-3),
    "adaln": (X, numbers(2, 1, 1, 8), numbers(2, 5, 3, 8), 1e-3),
    "rms_adaln": (X, numbers(2, 1, 1, 8), numbers(2, 5, 3, 8), 1e-3),
}


def gradient(name, given, count):
    """By the kernel, in the precision that it knows."""
    given = [part.float() if isinstance(part, torch.Tensor) else part for part in given]
    moving = [part.clone().requires_grad_() for part in given[:count]]
    out = getattr(torch.ops.comfy_kitchen, name)(*moving, *given[count:])
    return torch.autograd.grad(energy(out), moving)


def energy(out):
    outs = out if isinstance(out, tuple) else (out,)
    return sum((part.square() * numbers(*part.shape).to(part)).sum() for part in outs)


def difference(name, given, count, steps):
    """Of the energy along steps, in double precision by the plain formula."""
    module = importlib.import_module(f"comfy_kitchen.backends.eager.{fused.TWINS[name]}")
    at = lambda h: [part + h * step for part, step in zip(given, steps, strict=False)]
    ahead, behind = (getattr(module, name)(*at(h), *given[count:]) for h in (1e-5, -1e-5))
    return (energy(ahead) - energy(behind)) / 2e-5


@pytest.mark.parametrize("name", fused.TWINS)
def test_the_derivative_is_that_of_differences(name):
    fused.give_derivatives()
    given = GIVEN[name]
    # Rotations and scales of norms belong to the model; the modulation may depend on the latent.
    count = 3 if name in fused.MODULATED else 1 + any(part is Y for part in given)
    steps = [numbers(*part.shape).roll(1) for part in given[:count]]
    found = gradient(name, given, count)
    slope = sum((grad.double() * step).sum() for grad, step in zip(found, steps, strict=True))
    torch.testing.assert_close(slope, difference(name, given, count, steps), rtol=1e-4, atol=1e-4)


def test_one_of_two_results_may_go_unused():
    fused.give_derivatives()
    q, k = X.float().requires_grad_(), Y.float().requires_grad_()
    out, _ = torch.ops.comfy_kitchen.rms_rope(q, k, turns().float(), SCALE.float())
    first, second = torch.autograd.grad(energy(out), (q, k), allow_unused=True)
    assert first.abs().sum() > 0
    assert second is None or not second.any()


def test_a_scale_that_is_overwritten_meanwhile_does_no_harm():
    fused.give_derivatives()
    x, scale = X.float().requires_grad_(), SCALE.float()
    out = energy(torch.ops.comfy_kitchen.rms_rope1(x, turns().float(), scale, 1e-3))
    (exact,) = torch.autograd.grad(out, x, retain_graph=True)
    scale.zero_()
    torch.testing.assert_close(torch.autograd.grad(out, x)[0], exact)


def test_hosts_that_use_their_kernels_while_training_have_a_gradient(monkeypatch):
    """As ComfyUI 0.8 to 0.13, which have the kernels and no way around them."""
    calls = []
    kernel = torch.ops.comfy_kitchen.apply_rope
    monkeypatch.setattr(flux_math, "apply_rope", lambda *args: calls.append(1) or kernel(*args))
    families.slope(families.model("FLUX.1"), "FLUX.1")
    assert calls


def test_nothing_is_registered_before_a_gradient_is_wanted():
    assert not hasattr(kernels, "fused")
    assert not hasattr(kernels, "give_derivatives")
