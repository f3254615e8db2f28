"""Classifier guidance in the host: the noisy latent as the sampler has it, and no graph."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from energy_guidance.guidance_core.energies.noisy_classifier import NoisyClassLabel
from energy_guidance.guidance_core.networks.noisy_classifier import network_input
from energy_guidance.guidance_core.process import noise_angle, per_sample, radius
from energy_guidance.guidance_core.rules.backward import Backward
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.energies.noisy_classifier import EnergyNoisyClassifier
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.rules.manifold import RuleManifold
from energy_guidance.tests.host import probe, tiny

STRENGTH = 3.0


class Tiny(torch.nn.Module):
    """A little classifier of noisy latents."""

    noisy_labels, multi_label, name, channels = ("red", "blue"), False, "tiny.safetensors", 4

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = torch.nn.Parameter(torch.randn(2, 5, generator=generator))

    def forward(self, latent, angle):
        return network_input(latent, angle).tanh().mean((2, 3)) @ self.weight.T


@pytest.fixture
def rule():
    return Forward(NoisyClassLabel(Tiny(), "blue"), Constant(STRENGTH), "absolute")


@dataclass(frozen=True, eq=False)
class Watch:
    """Keeps what it is asked and what it is told."""

    seen: list = field(default_factory=list)

    def __deepcopy__(self, memo):
        return self

    def __call__(self, denoise, x, sigma, run):
        estimate = denoise(x, sigma)
        self.seen.append((x, sigma, run.alpha(sigma), estimate.x0))
        return estimate


def published(network, x, sigma, alpha):
    """sigma^2 / alpha times the gradient of log p(blue | x), by autograd of the network alone."""
    with torch.inference_mode(False), torch.enable_grad():
        x = x.clone().requires_grad_()
        latent = x / per_sample(radius(sigma, alpha), x)
        log = network(latent, noise_angle(sigma, alpha)).log_softmax(1)[:, 1]
        (grad,) = torch.autograd.grad(log.sum(), x)
    return grad * per_sample(sigma.square() / alpha, grad)


@pytest.mark.once
@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
def test_the_step_is_the_published_one(rule, kind):
    inner, outer = Watch(), Watch()
    guided = guide.apply(tiny.unet(kind), [inner, rule, outer])
    tiny.sample(guided, steps=3, batch=2)
    rows = list(zip(inner.seen, outer.seen, strict=True))
    assert len(rows) == 3
    far = []
    for (x, sigma, alpha, before), (*_, after) in rows:
        if float(alpha[0]) < 0.06:  # at the start of a flow the step is held back
            continue
        step = STRENGTH * published(rule.energy.network, x, sigma, alpha)
        torch.testing.assert_close(after - before, step, rtol=1e-3, atol=1e-5)
        far.append(float(step.abs().max()))
    assert max(far) > 1e-3


@pytest.mark.once
@pytest.mark.parametrize("look_at", ["cfg", "both"])
def test_a_step_asks_the_model_what_an_unguided_one_asks(rule, look_at):
    def calls(rules):
        seen, model = probe.Plain(), tiny.unet()
        model.add_wrapper("apply_model", seen)
        found = tiny.sample(guide.apply(model, rules) if rules else model, steps=2)
        return found, seen.calls

    looking = Forward(rule.energy, rule.strength, "absolute", look_at=look_at)
    plain, alone = calls([])
    found, guided = calls([looking])
    assert guided == alone
    assert not any(graph for _, graph, _ in guided)
    assert not torch.equal(found, plain)
    assert guide.Guidance((looking,)).graphs == 0
    off = Forward(rule.energy, Constant(0.0), "absolute")
    assert torch.equal(calls([off])[0], plain)


@pytest.mark.once
def test_latents_of_another_model_are_refused_before_the_first_step(rule):
    asked = probe.Plain()
    model = tiny.flux()
    model.add_wrapper("apply_model", asked)
    options = {"channels": 16, "width": 48, "pooled": 32, "cfg": 1.0}
    with pytest.raises(ValueError, match=r"tiny\.safetensors was trained on latents of 4 channels"):
        tiny.sample(guide.apply(model, [rule]), **options)
    assert not asked.calls


@pytest.mark.once
def test_rules_at_the_estimate_are_refused():
    energy = EnergyNoisyClassifier.execute(Tiny(), "blue", 1.0, 1.0).args[0]
    with pytest.raises(ValueError, match="works at the clean estimate, but its energy reads the n"):
        guide.apply(tiny.unet(), [Backward(energy, Constant())])
    with pytest.raises(ValueError, match="reads the noisy latent"):
        RuleManifold.execute(energy, 1.0, "relative", False, 0.0)
