"""Prompts with LoRA hooks of their own: every prompt is differentiated with its own weights."""

from __future__ import annotations

import comfy.hooks
import pytest
import torch
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.host.autograd import memory
from energy_guidance.tests.host import probe, tiny

FLUX = {"channels": 16, "width": 48, "pooled": 32}
FAMILIES = {"U-Net": (tiny.unet, {}), "Flux": (tiny.flux, FLUX)}
EACH = pytest.mark.parametrize("family", FAMILIES)


def lora(model, seed):
    """Low-rank changes of every linear layer, as Create Hook LoRA takes them."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, module in model.model.diffusion_model.named_modules():
        if isinstance(module, torch.nn.Linear):
            rows, columns = module.weight.shape
            draw = lambda *shape: torch.randn(*shape, generator=generator) * shape[-1] ** -0.5
            weights[f"diffusion_model.{name}.lora_up.weight"] = draw(rows, 4)
            weights[f"diffusion_model.{name}.lora_down.weight"] = draw(4, columns)
    return weights


@torch.inference_mode()
def prompts(model, options, seeds=(1, 2)):
    """A prompt for each LoRA, as Pair Combine with hooks gives them."""
    pooled = options.get("pooled")
    extra = {} if pooled is None else {"pooled_output": torch.ones(1, pooled)}
    positive = []
    for seed in seeds:
        cond = tiny.cond(seed, options.get("width", 32), **extra)
        hooks = comfy.hooks.create_hook_lora(lora(model, seed), 1.0, 1.0)
        positive += comfy.hooks.set_hooks_for_conditioning(cond, hooks)
    return positive


def slopes(model, positive, options):
    records = []
    with torch.inference_mode():
        guided = guide.apply(model, [probe.Slopes()], trace=records.append)
        tiny.sample(guided, steps=1, cfg=1.0, positive=positive, **options)
    return records[0]


@EACH
@pytest.mark.parametrize("backwards", [False, True])
def test_the_slope_is_that_of_finite_differences_in_both_orders(family, backwards):
    make, options = FAMILIES[family]
    model = make()
    positive = prompts(model, options)
    probe.agree(slopes(model, positive[::-1] if backwards else positive, options))


@EACH
@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_the_order_of_the_prompts_does_not_matter(family, cfg):
    make, options = FAMILIES[family]
    model = make()
    positive = prompts(model, options)
    with torch.inference_mode():
        guided = guide.apply(model, [Forward(probe.Nearness(), Constant(0.5))])
        one, two = (
            tiny.sample(guided, cfg=cfg, positive=pair, **options)
            for pair in (positive, positive[::-1])
        )
        stock = tiny.sample(model, cfg=cfg, positive=positive, **options)
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)
    assert (one - stock).abs().max() > 0.05


def test_the_models_weights_are_left_as_they_were():
    model = tiny.unet()
    before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    slopes(model, prompts(model, {}), {})
    for name, weight in model.model.state_dict().items():
        assert torch.equal(weight, before[name])


def cast():
    return tiny.unet(dtype=torch.float16, cast=True)


def test_weights_that_are_read_again_are_refused_between_two_loras():
    model = cast()
    pair = prompts(model, {})
    with pytest.raises(RuntimeError, match=r"different LoRA hooks .* Rule: Backward"):
        slopes(model, pair, {})
    model = cast()
    probe.agree(slopes(model, prompts(model, {}, seeds=(1,)), {}), 5e-2)


def test_recomputed_blocks_are_refused_between_two_loras(monkeypatch):
    monkeypatch.setattr(memory, "is_short_of", lambda needed, device: needed > 0)
    model = tiny.unet()
    pair = prompts(model, {})
    with pytest.raises(RuntimeError, match="different LoRA hooks"):
        slopes(model, pair, {})
    probe.agree(slopes(model, prompts(model, {}, seeds=(1,)), {}))
