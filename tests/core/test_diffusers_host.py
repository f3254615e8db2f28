"""The embedded host: what it reads inside the U-Net, and the noise of its sampler."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from guidance_core.attention.words import Word
from guidance_core.captures import Attention, Features
from guidance_core.energies.position import Position
from guidance_core.procedures.recurrence import recurrent
from guidance_core.process import ancestral_noise, euler_share
from guidance_core.rules.forward import Forward
from guidance_core.rules.recording import Recording
from guidance_core.run import Run
from guidance_core.schedules import Window
from guidance_core.types import Estimate
from tools import diffusers_host
from tools.diffusers_host.reading import layer_names, layers

ALL = Attention((), "all")


@pytest.fixture(scope="module")
def shapes():
    return diffusers_host.load(device="cpu")


def started(shapes, sigma=3.0):
    """Noise, its level, and text states of two samples."""
    x = 4 * torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    states = shapes.encode(["a big red circle", "a small blue square"])
    return x, torch.full((2,), sigma), states


def captured(shapes, requests):
    x, sigma, states = started(shapes)
    seen = {}
    rule = Recording(frozenset(requests), lambda level, values: seen.update(values))
    rule(diffusers_host.denoiser(shapes, states, states[:1], 4.0, [rule]), x, sigma, None)
    return seen


def test_maps_and_features_are_those_asked_for(shapes):
    one = Attention((3,))
    with torch.no_grad():
        seen = captured(shapes, {one, ALL, Features()})
    (red,), whole, features = seen[one], seen[ALL], seen[Features()]
    names = layer_names(ALL, tuple(layers(shapes.unet)))
    assert torch.equal(whole[names.index("output.2.0")][:, 3:4], red)
    assert all(torch.allclose(maps.sum(1), torch.ones(())) for maps in whole)
    assert [feature.shape for feature in features] == [(2, 64, 16, 16)] * 2


def test_maps_are_the_mean_over_heads_of_what_the_layer_attends_to(shapes):
    x, sigma, states = started(shapes)
    # Where ComfyUI's output.2.0 is in diffusers.
    layer = shapes.unet.up_blocks[1].attentions[0].transformer_blocks[0].attn2
    seen = {}
    keep = lambda name: lambda module, args, out: seen.update({name: out})
    hooks = [getattr(layer, name).register_forward_hook(keep(name)) for name in ("to_q", "to_k")]
    request = Attention((1, 3))
    timestep = diffusers_host.LEVELS.timestep(sigma)
    x.requires_grad_()
    with diffusers_host.reading(shapes.unet, [request]) as read:
        shapes.unet(x / (1 + 3.0**2) ** 0.5, timestep, states)
    (found,) = read[request]
    q, k = (seen[name].unflatten(2, (layer.heads, -1)) for name in ("to_q", "to_k"))
    logits = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[3] ** 0.5
    expected = logits.softmax(-1).mean(1)[..., [1, 3]].transpose(1, 2).reshape(2, 2, 16, 16)
    torch.testing.assert_close(found, expected)
    assert torch.autograd.grad(found.square().sum(), x)[0].abs().sum() > 0
    for hook in hooks:
        hook.remove()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in shapes.unet.modules())


def test_a_layer_that_is_not_there_is_named(shapes):
    with (
        pytest.raises(ValueError, match=r"no layer output\.9\.0"),
        diffusers_host.reading(shapes.unet, [Attention((), ("output.9.0",))]),
    ):
        pass


def test_nothing_is_read_outside_the_window(shapes):
    energy = Position((Word("red", (3,)),), (0.5, 0.5))
    later = Forward(energy, Window(1.0))
    states = shapes.encode([""])
    denoise = diffusers_host.denoiser(shapes, states, states, 1.0, [later])
    with torch.no_grad():
        assert denoise(torch.randn(1, 4, 16, 16), torch.tensor([3.0])).captures == {}
        assert denoise(torch.randn(1, 4, 16, 16), torch.tensor([0.5])).captures


def test_prompts_and_their_text_states_sample_the_same_latents(shapes):
    settings = diffusers_host.Settings(steps=2, batch=2, cfg=4.0)
    prompts = ["a big red circle", "a small blue square"]
    told = diffusers_host.sample(shapes, [], settings, positive=prompts)
    states = diffusers_host.sample(shapes, [], settings, positive=shapes.encode(prompts))
    assert torch.equal(told, states)


def test_ancestral_steps_of_the_embedded_host():
    assert diffusers_host.ancestral_share(0.0, 2.0, 1.0) == euler_share(2.0, 1.0)
    assert diffusers_host.ancestral_share(1.0, 2.0, 1.0) == pytest.approx(1 - 1 / 4)
    run = Run(torch.ones_like, torch.tensor([2.0, 1.0]), seed=1)
    still = lambda x, sigma: Estimate(torch.zeros_like(x), sigma)
    x = diffusers_host.ancestral(1.0, run)(still, torch.zeros(1, 4, 64, 64), run.sigmas)
    _, expected = ancestral_noise(run.sigmas[:1], run.sigmas[1:], torch.ones_like)
    assert float(x.std()) == pytest.approx(float(expected), rel=0.02)


def test_no_noise_of_a_recurrent_run_is_drawn_twice(monkeypatch):
    drawn, noise = [], Run.noise
    record = lambda run, like, *key: drawn.append(noise(run, like, *key)) or drawn[-1]
    monkeypatch.setattr(Run, "noise", record)
    run = Run(torch.ones_like, torch.tensor([4.0, 3.0, 2.0, 1.0]), seed=1)
    still = lambda x, sigma: Estimate(torch.zeros_like(x), sigma)
    sampler = recurrent(diffusers_host.ancestral(1.0, run), 3, run.alpha, run.noise)
    sampler(still, torch.zeros(1, 4, 16, 16), run.sigmas)
    assert len(drawn) == 3 * 3 + 3 * 2
    assert len({tuple(one.flatten().tolist()) for one in drawn}) == len(drawn)
