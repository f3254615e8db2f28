"""Gradients where patches, wrappers and conds bring networks and tensors of their own."""

from __future__ import annotations

import comfy.controlnet
import comfy.gligen
import comfy.patcher_extension
import pytest
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.patcher_extension import WrappersMP
from energy_guidance.nodes.host import run
from energy_guidance.tests.host import probe, storages, tiny
from torch import nn


def slope(model, **options):
    """The gradient through a model, which agrees with differences."""
    record = probe.slopes_at_first_step(model, **options)
    probe.agree(record)
    return record.terms["grad"]


def linear(width_in, width_out=None):
    layer = nn.Linear(width_in, width_out or width_in)
    tiny._filled(layer)
    return layer


class Hypernetwork:
    """In the manner of the host's own loader: networks in the attribute of a patch."""

    def __init__(self):
        self.networks = {width: linear(width) for width in (32, 64)}

    def __call__(self, q, k, v, extra_options):
        return q, k + self.networks[k.shape[-1]](k), v

    def to(self, device):
        self.networks = {width: network.to(device) for width, network in self.networks.items()}
        return self


def hypernetwork(model):
    model.set_model_attn1_patch(Hypernetwork())
    return {}


def image_prompt(model):
    """In the manner of IP-Adapters: keys and values of an image in a closure."""
    image = torch.randn(1, 3, 24)
    to_k, to_v = ({width: linear(24, width) for width in (32, 64)} for _ in range(2))

    def attention(q, k, v, extra_options):
        heads, width = extra_options["n_heads"], q.shape[-1]
        own = optimized_attention(q, k, v, heads)
        return own + optimized_attention(q, to_k[width](image), to_v[width](image), heads)

    for block in (("input", 1), ("input", 4), ("middle", 0), ("output", 2)):
        model.set_model_attn2_replace(attention, *block)
    return {}


def function_wrapper(model):
    gain = torch.rand(1, 4, 8, 8)

    def wrapper(apply_model, args):
        return apply_model(args["input"] * gain, args["timestep"], **args["c"]) * gain

    model.set_model_unet_function_wrapper(wrapper)
    return {}


def network_wrapper(model):
    layer = linear(32)

    def wrapper(executor, x, timesteps, context, *args, **kwargs):
        return executor(x, timesteps, context + layer(context) * x.mean(), *args, **kwargs)

    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "another pack", wrapper)
    return {}


def post_cfg(model):
    gain = torch.rand(1, 4, 8, 8)
    model.set_model_sampler_post_cfg_function(lambda args: args["denoised"] * gain)
    return {}


def attention_override(model):
    gain = torch.rand(1)

    def override(kernel, q, k, v, *args, **kwargs):
        return kernel(q * gain, k, v, *args, **kwargs)

    model.model_options["transformer_options"]["optimized_attention_override"] = override
    return {}


def hooked(model):
    gain = torch.rand(1, 32, 1, 1)
    part = model.model.diffusion_model.input_blocks[0][0]
    part.register_forward_hook(lambda module, args, out: out * gain)
    return {}


def replaced_forward(model):
    """In the manner of adapters beside a layer, as the host's LoRA bypass."""
    part = model.model.diffusion_model.input_blocks[1][1].proj_in
    down = torch.randn(2, 32, 1, 1) * 0.2
    up = torch.randn(32, 2, 1, 1)
    own = part.forward
    beside = lambda x: own(x) + nn.functional.conv2d(nn.functional.conv2d(x, down), up)
    inject = lambda patcher: setattr(part, "forward", beside)
    eject = lambda patcher: vars(part).pop("forward", None)
    injection = comfy.patcher_extension.PatcherInjection(inject=inject, eject=eject)
    model.set_injections("another pack", [injection])
    return {}


def gligen(model):
    widths = [32, 64, 64, 64, 64, 32, 32]
    layers = [comfy.gligen.GatedSelfAttentionDense(w, 32, w // 16, 16) for w in widths]
    network = comfy.gligen.Gligen(layers, comfy.gligen.PositionNet(32, 32), 32)
    tiny._filled(network)
    boxes = [(torch.randn(1, 32), 4, 4, 0, 0)]
    return {"positive": tiny.cond(1, gligen=("position", tiny.patcher(network), boxes))}


class Adapter(nn.Module):
    """A T2I adapter of one feature map, added behind the second input block."""

    unshuffle_amount = 8

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(192, 32, 1)
        tiny._filled(self)

    def forward(self, hint):
        return {"input": [self.conv(nn.functional.pixel_unshuffle(hint, 8)), None]}


def t2i_adapter(model):
    control = comfy.controlnet.T2IAdapter(Adapter(), 3, 8, "bilinear", torch.device("cpu"))
    hint = control.set_cond_hint(torch.rand(1, 3, 64, 64), 0.8)
    return {"positive": tiny.cond(1, control=hint, control_apply_to_uncond=True)}


GUESTS = [
    hypernetwork,
    image_prompt,
    function_wrapper,
    network_wrapper,
    post_cfg,
    attention_override,
    hooked,
    replaced_forward,
    gligen,
    t2i_adapter,
]


@pytest.mark.parametrize("guest", GUESTS)
def test_slope_through_what_another_pack_brings(guest):
    plain = slope(tiny.unet())
    with torch.inference_mode():
        model = tiny.unet()
        options = guest(model)
    assert not torch.allclose(slope(model, **options), plain, rtol=1e-3)


def test_a_plain_model_has_no_guests(monkeypatch):
    found = []
    told = run.has_guests
    monkeypatch.setattr(run, "has_guests", lambda *args: found.append(told(*args)) or found[-1])
    slope(tiny.unet())
    assert found == [False]


BESIDE = [name for name in storages.STORAGES if name not in storages.ROUNDED]


@pytest.mark.parametrize("storage", BESIDE)
def test_slope_past_the_hosts_lora_bypass(storage):
    bypass = pytest.importorskip("comfy.weight_adapter.bypass")
    model = storages.patcher("flux", storage, lora=False)
    with torch.inference_mode():
        manager = bypass.BypassInjectionManager()
        for key, adapter in storages.adapters(model.model.diffusion_model).items():
            manager.add_adapter(key, adapter, 0.7)
        beside = model.clone()
        beside.set_injections("bypass_lora", manager.create_injections(beside.model))
    options = storages.sample_options("flux")
    grad = slope(beside, **options)
    assert not torch.allclose(grad, slope(model, **options), rtol=1e-3)
