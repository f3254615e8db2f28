"""A classifier of the noisy latent, against a mixture whose p(c | x) is known."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from guidance_core.compose import guided
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.noisy_classifier import NoisyClassLabel
from guidance_core.energies.scheduled import Scheduled
from guidance_core.energies.smoothed import Smoothed
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.gradients import through_model
from guidance_core.networks import noisy_classifier
from guidance_core.requirements import requirements_of
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.latent_update import LatentUpdate
from guidance_core.rules.manifold import Manifold
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.unified import Unified
from guidance_core.schedules import Constant, WhenMoved
from guidance_core.steering import needs_graph
from guidance_core.types import Estimate
from tests.core.toys import (
    DOUBLE,
    Model,
    TinyClassifier,
    assert_close,
    latent,
    levels,
    run_with,
    seeded,
    toward,
)
from tests.ground_truth import Mixture, flow, three_hills, ve

ONE = Constant(1)
GROUPS = {"first": (0,), "second": (1,), "others": (1, 2)}


@dataclass(frozen=True, eq=False)
class Exact:
    """p(group | x) of a mixture of Gaussians, as a network that sees x / radius and the angle."""

    mixture: Mixture
    noisy_labels: tuple[str, ...] = tuple(GROUPS)
    multi_label: bool = True
    name: str = "exact"

    def __call__(self, latent: Tensor, angle: Tensor) -> Tensor:
        at = replace(self.mixture, alpha=lambda sigma: (1 - sigma.square()).sqrt())
        share = at._log_joint(latent, angle.sin()).softmax(1)
        held = torch.stack([share[:, list(group)].sum(1) for group in GROUPS.values()], 1)
        return held.logit()


def part(mixture: Mixture, label: str) -> Mixture:
    """The mixture given the label: its hills of that group alone."""
    rows = list(GROUPS[label])
    kept = {name: getattr(mixture, name)[rows] for name in ("weights", "means", "variances")}
    return replace(mixture, **{**kept, "weights": kept["weights"] / kept["weights"].sum()})


def rule(mixture: Mixture, label: str, strength: float = 1.0) -> Forward:
    return Forward(NoisyClassLabel(Exact(mixture), label), Constant(strength), "absolute")


def grad_of(mixture: Mixture, label: str, x: Tensor, sigma: Tensor) -> Tensor:
    """The gradient of log p(label | x) by the densities themselves, at x."""
    x = x.detach().requires_grad_()
    some, whole = part(mixture, label), mixture
    evidence = mixture.weights[list(GROUPS[label])].sum().log()
    log = evidence + some.log_density(x, sigma) - whole.log_density(x, sigma)
    return torch.autograd.grad(log.sum(), x)[0]


ALPHAS = pytest.mark.parametrize("alpha", [ve, flow], ids=["ve", "flow"])


@ALPHAS
@pytest.mark.parametrize("label", GROUPS)
@pytest.mark.parametrize("sigma", [0.05, 0.3, 0.6, 0.9])
def test_the_guided_denoiser_is_that_of_the_posterior(alpha, label, sigma):
    mixture, x = three_hills(alpha), seeded(5, 2, seed=3)
    level = levels(sigma, 5)
    run = run_with(alpha=alpha)
    found = guided([rule(mixture, label)], mixture.denoise, run)(x, level)
    assert_close(found.x0, part(mixture, label).denoise(x, level).x0)
    assert not found.x0.requires_grad


@ALPHAS
def test_strength_multiplies_the_gradient_of_log_p(alpha):
    mixture, x, level = three_hills(alpha), seeded(4, 2, seed=5), levels(0.7, 4)
    found = guided([rule(mixture, "first", 3.0)], mixture.denoise, run_with(alpha=alpha))(x, level)
    size = 3 * level.square() / alpha(level)
    step = size[:, None] * grad_of(mixture, "first", x, level)
    assert_close(found.x0, mixture.denoise(x, level).x0 + step)


def sampled(rules, mixture: Mixture, x: Tensor, sigmas: Tensor) -> Tensor:
    """Euler's method along the probability flow."""
    run = run_with(alpha=mixture.alpha, sigmas=tuple(sigmas.tolist()))
    denoise = guided(rules, mixture.denoise, run)
    for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
        level = high.expand(len(x))
        a, b = mixture.alpha(level)[:, None], mixture.alpha(low.expand(len(x)))[:, None]
        x0 = denoise(x, level).x0
        x = b * x0 + low / high * (x - a * x0)
    return x


@ALPHAS
def test_samples_are_those_of_the_posterior(alpha):
    mixture, one = three_hills(alpha), part(three_hills(alpha), "second")
    top = 40.0 if alpha is ve else 1.0
    grid = torch.linspace(1, 0, 500, dtype=DOUBLE)
    noise, sigmas = seeded(40, 2, seed=8), top * grid ** (3 if alpha is ve else 1)
    start = alpha(sigmas[:1]) * one.means + top * noise
    found = sampled([rule(mixture, "second")], mixture, start, sigmas)
    # The flow of a Gaussian is known: it keeps how many standard deviations a sample is off.
    spread = (alpha(sigmas[0]) ** 2 * one.variances + top**2).sqrt()
    off = (start - alpha(sigmas[:1]) * one.means) / spread
    truth = one.means + one.variances.sqrt() * off
    # In a flow the step is smaller than it should be while alpha is below 0.05 (LEAST_ALPHA).
    assert (found - truth).abs().max() < 0.03
    plain = sampled([], mixture, start, sigmas)
    assert (plain - truth).square().sum(1).sqrt().mean() > 0.5


class Watched:
    """A model that counts its evaluations and refuses to build a graph."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor, sigma: Tensor) -> Estimate:
        assert not x.requires_grad
        assert not torch.is_grad_enabled()
        self.calls += 1
        return Model()(x, sigma)


class Tiny(nn.Module):
    """A little classifier of noisy latents with random weights."""

    noisy_labels, multi_label, name, channels = ("red", "blue", "big"), False, "tiny", 4

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.weight = nn.Parameter(torch.randn(3, 5, generator=generator, dtype=DOUBLE))

    def forward(self, latent: Tensor, angle: Tensor) -> Tensor:
        shown = noisy_classifier.network_input(latent, angle).tanh().mean((2, 3))
        return shown @ self.weight.to(shown).T


NETWORK = Tiny()
ENERGY = NoisyClassLabel(NETWORK, "blue")
RULES = {
    "forward": Forward(ENERGY, ONE),
    "forward absolute": Forward(ENERGY, ONE, "absolute"),
    "forward, both": Forward(ENERGY, ONE, "cfg", look_at="both"),
    "forward, paced": Forward(ENERGY, WhenMoved(ONE, 0.2)),
    "posterior": Posterior(ENERGY, ONE),
    "unified": Unified(ENERGY, ONE, mu=0),
    "latent update": LatentUpdate(ENERGY, ONE),
    "a sum": Forward(WeightedSum(((2.0, ENERGY), (1.0, Scheduled(ENERGY, ONE)))), ONE),
}


@pytest.mark.parametrize("tried", RULES.values(), ids=RULES.keys())
def test_nothing_is_computed_through_the_model(tried):
    model = Watched()
    found = guided([tried], model, run_with())(latent(), levels(1.0))
    assert model.calls == (2 if isinstance(tried, LatentUpdate) else 1)
    assert not needs_graph(tried)
    assert not torch.equal(found.x0, Model()(latent(), levels(1.0)).x0)


def test_one_energy_of_the_clean_sample_in_a_sum_asks_for_the_graph():
    mixed = WeightedSum(((2.0, ENERGY), (0.5, toward())))
    assert needs_graph(Forward(mixed, ONE))
    assert requirements_of([mixed]).reads_noisy
    with pytest.raises(AssertionError):
        guided([Forward(mixed, ONE)], Watched(), run_with())(latent(), levels(1.0))
    x, level = latent(), levels(1.0)
    at = lambda x: replace(Model()(x, level), x=x)
    _, value, slope = through_model(mixed, lambda x, sigma: at(x), x, level)
    tracked = x.clone().requires_grad_()
    whole = 2 * ENERGY(at(tracked)) + 0.5 * toward()(at(tracked))
    assert_close(value, whole.detach())
    assert_close(slope, torch.autograd.grad(whole.sum(), tracked)[0])


def test_the_gradient_is_that_of_finite_differences():
    level = levels(0.8, 1)
    x = latent(1)[..., :2, :3].clone().requires_grad_()
    asked = lambda x: ENERGY(Estimate(torch.zeros_like(x), level, x=x))
    assert torch.autograd.gradcheck(asked, x)
    clean = replace(Estimate(torch.zeros_like(x), level, x=x.detach()), alpha=1 - level)
    z = x.detach() / (0.2**2 + 0.8**2) ** 0.5
    logits = NETWORK(z, torch.atan(level / (1 - level)))
    assert_close(ENERGY(clean), torch.nn.functional.cross_entropy(logits, torch.tensor([1]))[None])


@pytest.mark.parametrize("order", [0, 1])
def test_stacks_with_a_rule_through_the_model_in_both_orders(order):
    x, level, run = latent(), levels(1.0), run_with()
    noisy, clean = Forward(ENERGY, Constant(0.3), "absolute"), Forward(toward(), ONE, "absolute")
    alone = guided([noisy], Model(), run)(x, level).x0 - Model()(x, level).x0
    tracked = x.clone().requires_grad_()
    estimate = Model()(tracked, level)
    shift = alone if order == 0 else 0.0
    value = toward()(replace(estimate, x0=estimate.x0 + shift))
    slope = torch.autograd.grad(value.sum(), tracked)[0]
    both = guided([noisy, clean][:: 1 - 2 * order], Model(), run)(x, level).x0
    assert_close(both, estimate.x0.detach() + alone - slope)


def test_a_sample_alone_equals_the_sample_in_a_batch_and_strength_0_is_the_model():
    tried, x = Forward(ENERGY, Constant(0.5)), latent(3)
    batch = guided([tried], Model(), run_with())(x, levels(1.0, 3)).x0
    for i in range(3):
        alone = guided([tried], Model(), run_with())(x[i : i + 1], levels(1.0, 1)).x0
        assert torch.equal(alone, batch[i : i + 1])
    off = guided([replace(tried, strength=Constant(0))], Model(), run_with())
    assert torch.equal(off(x, levels(1.0, 3)).x0, Model()(x, levels(1.0, 3)).x0)


def test_a_confidence_that_is_met_moves_nothing():
    published = ENERGY(Estimate(latent(), levels(1.0), x=latent())).detach()
    enough = replace(ENERGY, confidence=float((-published).exp().mean()))
    found = enough(Estimate(latent(), levels(1.0), x=latent()))
    assert_close(found, (published + math.log(enough.confidence)).clamp_min(0))
    x0 = guided([Forward(enough, ONE)], Model(), run_with())(latent(), levels(1.0)).x0
    moved = (x0 - Model()(latent(), levels(1.0)).x0).flatten(1).any(1)
    assert moved.tolist() == (found > 0).tolist() == [True, False]
    assert (enough.reached(1.0), ENERGY.reached(1.0)) == (0.0, None)


def test_half_precision_is_measured_in_float32():
    half = lambda dtype: ENERGY(Estimate(latent(), levels(1.0), x=latent().to(dtype)))
    assert half(torch.float16).dtype == torch.float32
    torch.testing.assert_close(half(torch.float16).double(), half(DOUBLE), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Manifold(ENERGY, ONE), "Manifold works .* reads the noisy latent"),
        (lambda: Unified(ENERGY, ONE), "reads the noisy latent"),
        (lambda: Smoothed(ENERGY), "reads the noisy latent"),
        (
            lambda: Forward(ENERGY, ONE, "calibrated"),
            "reads the noisy latent: use scale 'absolute'",
        ),
        (lambda: NoisyClassLabel(NETWORK, "reed"), "no label 'reed' .*: red"),
        (lambda: NoisyClassLabel(NETWORK, "red", 0.0), "confidence"),
        (lambda: ENERGY(Estimate(latent(), levels(1.0))), "there is none here"),
    ],
)
def test_refusals(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_other_classifiers_are_refused_and_a_rule_at_the_estimate_says_why():
    with pytest.raises(TypeError, match="trained on noisy latents, got tiny classifier"):
        NoisyClassLabel(TinyClassifier(), "blue")
    with pytest.raises(TypeError, match="a label needs a classifier, got tiny"):
        ClassLabel(NETWORK, "blue")
    with pytest.raises(RuntimeError, match="use a rule that goes through the model"):
        guided([Backward(ENERGY, ONE)], Model(), run_with())(latent(), levels(1.0))


CARD = {"architecture": "test_resnet", "labels": ["cat", "dog", "cow"], "multi_label": True}


def saved(path: Path, card: dict | None, planes: int = 7) -> Path:
    torch.manual_seed(1)
    network = timm.create_model("test_resnet", in_chans=planes, num_classes=3)
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, path, metadata={"energy_guidance": json.dumps(card)} if card else None)
    return path


def test_a_file_of_the_documented_format_loads(tmp_path):
    path = saved(tmp_path / "noisy.safetensors", CARD)
    network = noisy_classifier.load(path)
    assert (network.channels, network.multi_label) == (6, True)
    assert network.noisy_labels == noisy_classifier.labels_in(path) == ("cat", "dog", "cow")
    latents, angle = seeded(2, 6, 32, 32).float(), torch.tensor([0.0, math.pi / 2])
    planes = torch.ones(2, 1, 32, 32)
    planes[0] = -1
    shown = torch.cat([latents, planes], 1)
    assert torch.equal(network(latents, angle), network.network(shown))
    energy = NoisyClassLabel(network, "dog")
    estimate = Estimate(latents, levels(1.0).float(), x=latents)
    assert energy(estimate).shape == (2,)


@pytest.mark.parametrize("architecture", ["test_convnext", "test_vit"])
def test_channels_are_those_of_the_first_layer_wherever_the_file_has_it(architecture, tmp_path):
    network = timm.create_model(architecture, in_chans=9, num_classes=2)
    state = network.state_dict()
    card = json.dumps({"architecture": architecture, "labels": ["a", "b"]})
    save_file(state, tmp_path / "noisy.safetensors", metadata={"energy_guidance": card})
    assert noisy_classifier.load(tmp_path / "noisy.safetensors").channels == 8


def test_options_may_make_another_first_layer(tmp_path):
    options = {"stem_type": "", "channels": [8, 8, 8, 8]}
    network = timm.create_model("test_resnet", in_chans=7, num_classes=3, **options)
    assert network.default_cfg["first_conv"] not in dict(network.named_modules())
    card = json.dumps({**CARD, "options": options})
    save_file(
        network.state_dict(), tmp_path / "noisy.safetensors", metadata={"energy_guidance": card}
    )
    assert noisy_classifier.load(tmp_path / "noisy.safetensors").channels == 6


@pytest.mark.parametrize(
    ("card", "planes", "said"),
    [
        (None, 7, "does not name its labels"),
        ({**CARD, "labels": []}, 7, "does not name its labels"),
        ({**CARD, "architecture": "nothing"}, 7, "timm knows no architecture 'nothing'"),
        ({**CARD, "architecture": "resnet18"}, 7, "does not fit the architecture"),
        (CARD, 1, "no convolution of a latent and its noise level"),
    ],
)
def test_other_files_are_refused(tmp_path, card, planes, said):
    with pytest.raises(ValueError, match=said):
        noisy_classifier.load(saved(tmp_path / "noisy.safetensors", card, planes))
