"""Guidance together with what else a workflow does to sampling."""

from __future__ import annotations

import comfy.cldm.cldm
import comfy.controlnet
import comfy.ops
import comfy.sd
import pytest
import torch
from energy_guidance.nodes.host import guide
from energy_guidance.tests.host import probe, tiny


def slopes(model, **options):
    records = []
    with torch.inference_mode():
        guided = guide.apply(model, [probe.Slopes()], trace=records.append)
        result = tiny.sample(guided, **{"steps": 2, "cfg": 1.0, **options})
    assert torch.isfinite(result).all()
    for record in records:
        probe.agree(record)
    return result


@pytest.fixture(scope="module")
def model():
    return tiny.unet()


def test_area_and_mask_conditioning(model):
    with torch.inference_mode():
        whole = tiny.cond(1)
        area = tiny.cond(3, area=(4, 4, 0, 2), strength=0.7)
        mask = tiny.cond(4, mask=torch.rand(1, 64, 64), mask_strength=0.5)
    slopes(model, positive=whole + area + mask)


def test_inpainting_keeps_what_is_outside_the_mask(model):
    with torch.inference_mode():
        start = torch.randn(1, 4, 8, 8)
        mask = torch.zeros(1, 1, 8, 8)
        mask[..., 4:] = 1
    result = slopes(model, latent=start, noise_mask=mask, steps=3)
    torch.testing.assert_close(result[..., :4], start[..., :4], rtol=1e-3, atol=1e-3)


def test_image_to_image(model):
    with torch.inference_mode():
        start = torch.randn(1, 4, 8, 8)
    slopes(model, latent=start, denoise=0.5)


def test_lora(model):
    weight = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    with torch.inference_mode():
        patched = model.clone()
        shape = model.model.state_dict()[weight].shape
        patched.add_patches({weight: ("diff", (torch.randn(shape),))}, 0.5)
    plain = slopes(model)
    assert not torch.equal(slopes(patched), plain)
    assert torch.equal(slopes(model), plain)


def controlnet():
    """A ControlNet for the tiny U-Net, loaded under inference mode."""
    unused = ("out_channels", "use_temporal_attention", "transformer_depth_output")
    settings = {key: value for key, value in tiny.UNET.items() if key not in unused}
    with torch.inference_mode():
        network = comfy.cldm.cldm.ControlNet(
            **settings, num_heads=8, hint_channels=3, operations=comfy.ops.disable_weight_init
        )
        tiny._filled(network)
        cpu = torch.device("cpu")
        return comfy.controlnet.ControlNet(network, load_device=cpu)


def test_controlnet_is_differentiated_too(model):
    control = controlnet()
    with torch.inference_mode():
        hint = control.set_cond_hint(torch.rand(1, 3, 64, 64), 0.8)
        cond = tiny.cond(1, control=hint, control_apply_to_uncond=True)
    before = [id(p) for p in control.control_model.parameters()]
    slopes(model, positive=cond)
    slopes(model, positive=cond, negative=cond, cfg=3.0)
    assert [id(p) for p in control.control_model.parameters()] == before
