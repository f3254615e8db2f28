"""Gradients where the host computes attention by a kernel without a backward pass."""

from __future__ import annotations

import sys
from types import ModuleType

import comfy.model_management
import pytest
import torch
from comfy.ldm.modules import attention
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.host.autograd import memory
from energy_guidance.tests.host import families, probe, tiny
from energy_guidance.tests.host.test_conditioning import controlnet

NAMES = ("optimized_attention", "optimized_attention_masked")
FLUX = {"channels": 16, "width": 48, "pooled": 32}
CALLS = []


@attention.wrap_attn
def fast(q, k, v, heads, mask=None, attn_precision=None, **options):
    """Right values and no derivative, as SageAttention's."""
    CALLS.append(q.requires_grad)
    return attention.attention_pytorch(q, k, v, heads, mask, attn_precision, **options).detach()


def kernels():
    """What each module holds as the host's kernel."""
    modules = [module for module in sys.modules.values() if isinstance(module, ModuleType)]
    return {
        (module.__name__, name): vars(module)[name]
        for module in modules
        for name in NAMES
        if module is not sys.modules[__name__] and name in vars(module)
    }


@pytest.fixture
def with_fast_kernel(monkeypatch):
    """The host as if it had been started with that kernel."""
    found = kernels()
    assert ("comfy.ldm.pixart.blocks", "optimized_attention") in found
    for module, name in found:
        monkeypatch.setattr(sys.modules[module], name, fast)
    CALLS.clear()


# Families whose attention is handed no options, or some of it.
KINDS = ("PixArt Sigma", "HunyuanDiT", "Qwen-Image", "Wan 2.1", "Stable Audio", "ACE-Step")
WHOLE = [(name, False) for name in (*KINDS, "ACE-Step 1.5") if name in families.FAMILIES]


@pytest.mark.parametrize(("family", "short"), [*WHOLE, *((name, True) for name in KINDS[:2])])
def test_slope_is_that_of_a_kernel_with_a_derivative(family, short, monkeypatch, request):
    model = families.FAMILIES[family].model()
    exact = families.slope(model, family)
    request.getfixturevalue("with_fast_kernel")
    monkeypatch.setattr(memory, "is_short_of", lambda needed, device: short and needed > 0)
    grad = families.slope(model, family)
    assert CALLS
    assert not any(CALLS), "the kernel runs, and only where nothing is differentiated"
    torch.testing.assert_close(grad, exact, rtol=1e-3, atol=1e-3 * float(exact.abs().max()))


@pytest.mark.parametrize(
    ("make", "options"), [(tiny.unet, {}), (tiny.sd3, FLUX), (tiny.flux, FLUX)]
)
def test_slope_of_families_that_pass_their_options(make, options, with_fast_kernel):
    probe.agree(probe.slopes_at_first_step(make(), **options))
    assert CALLS
    assert not any(CALLS)


def test_slope_through_a_controlnet(with_fast_kernel):
    with torch.inference_mode():
        hint = controlnet().set_cond_hint(torch.rand(1, 3, 64, 64), 0.8)
        positive = tiny.cond(1, control=hint, control_apply_to_uncond=True)
    probe.agree(probe.slopes_at_first_step(tiny.unet(), positive=positive))
    assert CALLS
    assert not any(CALLS)


INTERRUPTED = comfy.model_management.InterruptProcessingException


@pytest.mark.parametrize("error", [None, RuntimeError, INTERRUPTED])
def test_the_hosts_kernel_is_put_back(error, with_fast_kernel, monkeypatch):
    model, there = families.FAMILIES["PixArt Sigma"].model(), kernels()
    seen = []

    def forward(block, x, *args, **kwargs):
        if x.requires_grad:
            seen.append(kernels())
            if error is not None:
                raise error
        return own(block, x, *args, **kwargs)

    kind = type(model.model.diffusion_model.blocks[0])
    own = kind.forward
    monkeypatch.setattr(kind, "forward", forward)
    with torch.inference_mode():
        guided = guide.apply(model, [Forward(probe.Nearness(), Constant(0.5))])
        try:
            tiny.sample(guided, steps=1, cfg=1.0, **families.FAMILIES["PixArt Sigma"].options())
        except (RuntimeError, INTERRUPTED):
            assert error is not None
    assert seen
    assert set(seen[0].values()) == {attention.attention_pytorch}
    assert kernels() == there
