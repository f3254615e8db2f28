"""The published rules: what each is, and what each becomes when the others' knobs are 0."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from guidance_core.captures import Attention
from guidance_core.compose import guided
from guidance_core.process import euler_share, posterior_std
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.manifold import Manifold
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.presets import PRESETS
from guidance_core.rules.unified import Unified
from guidance_core.run import Run
from guidance_core.schedules import Constant
from guidance_core.shaping import rms
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, Model, assert_close, latent, levels, toward
from tests.ground_truth import flow, ve

SIGMAS = torch.tensor([0.9, 0.7, 0.4, 0.1, 0.0], dtype=DOUBLE)
SIGMA, NEXT = 0.7, 0.4
FAMILIES = pytest.mark.parametrize("alpha", [ve, flow])
SCALED = pytest.mark.parametrize("scale", ["relative", "cfg"])


def estimated(*rules, alpha=ve, share=euler_share, sigma=SIGMA, model=None) -> Tensor:
    run = Run(alpha, SIGMAS, seed=3, share=share)
    return guided(rules, model or Model(), run)(latent(), levels(sigma)).x0


def stepped(*rules, **options) -> Tensor:
    """The next latent by Euler's method."""
    x0 = estimated(*rules, **options)
    return latent() * NEXT / SIGMA + (1 - NEXT / SIGMA) * x0


def gradients(alpha=ve) -> tuple[Tensor, Tensor, Tensor]:
    """Energy of `toward()`, and its gradients with respect to x and to x0, written out."""
    x = latent().requires_grad_()
    estimate = Model()(x, levels(SIGMA))
    energy = toward()(estimate)
    (slope,) = torch.autograd.grad(energy.sum(), x)
    return energy.detach(), slope, (estimate.x0 - 0.5).detach()


def scaled(values: Tensor, factor: Tensor | float) -> Tensor:
    factor = torch.as_tensor(factor, dtype=DOUBLE).expand(2)
    return values * factor.reshape(-1, 1, 1, 1)


def radius(alpha, sigma: float) -> Tensor:
    level = levels(sigma)
    return (alpha(level).square() + level.square()).sqrt()


# Closed forms of one step.


@FAMILIES
def test_absolute_manifold_moves_the_next_latent_and_keeps_its_noise(alpha):
    rule = Manifold(toward(), Constant(0.3), "absolute")
    moved = stepped(rule, alpha=alpha) - stepped(alpha=alpha)
    assert_close(moved, scaled(-0.3 * gradients()[2], alpha(levels(NEXT))))


@FAMILIES
@pytest.mark.parametrize("root", [True, False])
def test_absolute_posterior_moves_the_next_latent_of_unit_variance(alpha, root):
    rule = Posterior(toward(), Constant(0.3), "absolute", root=root)
    energy, slope, _ = gradients()
    slope = scaled(slope, 0.5 / energy.sqrt()) if root else slope
    moved = (stepped(rule, alpha=alpha) - stepped(alpha=alpha)) / radius(alpha, NEXT)[0]
    assert_close(moved, scaled(-0.3 * slope, radius(alpha, SIGMA)))


def ddpm(x: Tensor, x0: Tensor, alpha) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of DDPM's step, by z = x / r and abar, back in x."""
    abar, abar_next = ((alpha(levels(s)) / radius(alpha, s)).square()[0] for s in (SIGMA, NEXT))
    beta = 1 - abar / abar_next
    z = x / radius(alpha, SIGMA)[0]
    mean = abar_next.sqrt() * beta / (1 - abar) * x0
    mean = mean + (1 - beta).sqrt() * (1 - abar_next) / (1 - abar) * z
    spread = (beta * (1 - abar_next) / (1 - abar)).sqrt()
    return mean * radius(alpha, NEXT)[0], spread * radius(alpha, NEXT)[0]


@FAMILIES
@pytest.mark.parametrize("rate", [0.1, 0.6, 1.0])
def test_spherical_step_is_that_of_dsg(alpha, rate):
    """Its code: mean + r d / |d|, d = d_sample + rate (-r g / |g| - d_sample), r = sqrt(n) up."""
    energy = toward()
    following = stepped(Posterior(energy, Constant(rate), "spherical"), alpha=alpha)
    mean, spread = ddpm(latent(), estimated(alpha=alpha), alpha)
    noise = Run(alpha, SIGMAS, seed=3).noise(latent(), SIGMA)
    for row in range(2):
        size = noise[row].numel() ** 0.5 * spread
        grad = gradients()[1][row]
        sample = spread * noise[row]
        way = sample + rate * (-size * grad / grad.norm() - sample)
        assert_close(following[row], mean[row] + size * way / way.norm())
        assert_close((following[row] - mean[row]).norm(), size)


def test_spherical_step_to_no_noise_is_the_sampler_s_own():
    rule = Posterior(toward(), Constant(1.0), "spherical")
    assert_close(estimated(rule, sigma=0.1), estimated(sigma=0.1))


def test_spherical_refuses_a_sampler_with_noise_of_its_own():
    rule = Posterior(toward(), Constant(1.0), "spherical")
    assert rule.replaces_noise
    with pytest.raises(RuntimeError, match="use euler or ddim"):
        estimated(rule, share=lambda s, n: 1 - (n / s) ** 2)


@FAMILIES
def test_absolute_unified_takes_the_step_of_tfg(alpha):
    """With z = x / r: z_next += rho dlogf/dz / sqrt(abar / abar_next) + sqrt(abar_next) delta0."""
    rule = Unified(toward(), Constant(1.0), "absolute", rho=0.2, mu=0.3, iterations=1)
    _, slope_x, slope_x0 = gradients()
    signal, following = (alpha(levels(s)) / radius(alpha, s) for s in (SIGMA, NEXT))
    z = scaled(-0.2 * slope_x, radius(alpha, SIGMA) * following / signal)
    z = z + scaled(-0.3 * slope_x0, following)
    moved = stepped(rule, alpha=alpha) - stepped(alpha=alpha)
    assert_close(moved, scaled(z, radius(alpha, NEXT)))


def test_mean_guidance_repeats_from_where_it_arrived():
    rule = Unified(toward(), Constant(1.0), "absolute", rho=0.0, mu=0.2, iterations=3)
    start = estimated()
    moved = stepped(rule) - stepped()
    assert_close(start + moved, 0.5 + (1 - 0.2) ** 3 * (start - 0.5))


def test_a_larger_share_needs_a_smaller_push():
    for rule in (rule for rule in ONE_STEP.values() if rule.scale == "absolute"):
        euler = estimated(rule) - estimated()
        twice = estimated(rule, share=lambda s, n: 2 * euler_share(s, n)) - estimated()
        assert_close(2 * twice, euler)


ONE_STEP = {
    "manifold": Manifold(toward(), Constant(0.1), "absolute"),
    "posterior": Posterior(toward(), Constant(0.1), "absolute"),
    "spherical": Posterior(toward(), Constant(0.1), "spherical"),
    "unified": Unified(toward(), Constant(0.1), "absolute"),
}


@pytest.mark.parametrize("rule", ONE_STEP.values(), ids=ONE_STEP.keys())
def test_rules_that_follow_the_step_refuse_samplers_without_one(rule):
    assert rule.one_step
    assert not replace(rule, scale="relative").one_step
    with pytest.raises(RuntimeError, match="use euler"):
        estimated(rule, share=None)
    assert estimated(replace(rule, scale="relative"), share=None).isfinite().all()


def test_norm_of_a_residual_needs_an_energy_that_is_not_negative():
    rule = Posterior(toward(weight=-1), Constant(1.0), "absolute")
    with pytest.raises(RuntimeError, match="switch the root off"):
        estimated(rule)


# Reductions.


@SCALED
@FAMILIES
def test_unified_without_mu_is_posterior_is_forward(scale, alpha):
    unified = Unified(toward(), Constant(0.5), scale, mu=0.0)
    forward = estimated(Forward(toward(), Constant(0.5), scale), alpha=alpha)
    assert_close(estimated(unified, alpha=alpha), forward)
    assert_close(estimated(Posterior(toward(), Constant(0.5), scale), alpha=alpha), forward)


@pytest.mark.parametrize("root", [True, False])
def test_absolute_unified_without_mu_is_posterior_up_to_the_ratio_of_radii(root):
    """TFG shifts by r^2, DPS by r r_next: the same in the limit of small steps."""
    unified = Unified(toward(), Constant(0.5), "absolute", mu=0.0, root=root)
    posterior = Posterior(toward(), Constant(0.5), "absolute", root=root)
    ratio = float(radius(ve, SIGMA)[0] / radius(ve, NEXT)[0])
    moved = estimated(posterior) - estimated()
    assert_close(estimated(unified) - estimated(), ratio * moved)


@FAMILIES
@pytest.mark.parametrize("scale", ["relative", "cfg", "absolute"])
def test_unified_without_rho_is_manifold(scale, alpha):
    unified = Unified(toward(), Constant(0.3), scale, rho=0.0, mu=1.0, iterations=1)
    manifold = Manifold(toward(), Constant(0.3), scale)
    assert_close(estimated(unified, alpha=alpha), estimated(manifold, alpha=alpha))
    assert not unified.through_model


@pytest.mark.parametrize("iterations", [1, 4])
def test_unified_without_rho_is_backward_by_gradient_descent(iterations):
    unified = Unified(toward(), Constant(0.5), rho=0.0, mu=1.0, iterations=iterations)
    backward = Backward(toward(), Constant(0.5), steps=iterations, optimiser="gd")
    assert_close(estimated(unified), estimated(backward))


def test_unified_without_gamma_or_with_little_of_it_is_not_smoothed():
    plain = Unified(toward(), Constant(0.5))
    assert torch.equal(estimated(replace(plain, samples=5)), estimated(plain))
    little = replace(plain, gamma=1e-9, samples=5)
    torch.testing.assert_close(estimated(little), estimated(plain), rtol=0, atol=1e-7)
    much = replace(plain, gamma=1.0, samples=5)
    assert (estimated(much) - estimated(plain)).abs().max() > 1e-3


def test_unified_with_neither_rho_nor_mu_is_no_guidance():
    rule = Unified(toward(), Constant(0.5), rho=0.0, mu=0.0)
    assert torch.equal(estimated(rule), estimated())


def test_unified_evaluates_model_and_energy_no_more_than_needed():
    calls = []

    def energy(estimate):
        calls.append(1)
        return toward()(estimate)

    for rho, mu, expected in ((1, 0, 1), (0, 1, 4), (1, 1, 5)):
        calls.clear()
        model = Model()
        estimated(Unified(energy, Constant(0.5), rho=rho, mu=mu), model=model)
        assert (model.calls, len(calls)) == (1, expected)


def test_relative_pushes_of_unified_are_bounded_by_their_strengths():
    for rho, mu in ((1.0, 0.0), (0.0, 1.0)):
        rule = Unified(toward(), Constant(0.5), rho=rho, mu=mu)
        limit = 0.5 * posterior_std(levels(SIGMA), ve(levels(SIGMA)))
        push = rms(estimated(rule) - estimated())
        assert (push <= limit * (1 + 1e-9)).all()
        assert (push >= limit * 0.5).all()


@FAMILIES
@pytest.mark.parametrize("course", ["increase", "decrease"])
def test_course_follows_the_signal_ratio_with_mean_one(course, alpha):
    signal = [float((alpha(levels(s)) / radius(alpha, s))[0] ** 2) for s in SIGMAS.tolist()]
    ratios = [a / b for a, b in zip(signal[:-1], signal[1:], strict=True)]
    values = ratios if course == "increase" else [1 - ratio for ratio in ratios]
    steady = Unified(toward(), Constant(0.1), mu=0.0)
    curved = replace(steady, course=course)
    for sigma, value in zip(SIGMAS.tolist(), values, strict=False):
        even = estimated(steady, sigma=sigma, alpha=alpha) - estimated(sigma=sigma)
        moved = estimated(curved, sigma=sigma, alpha=alpha) - estimated(sigma=sigma)
        assert_close(moved, even * value * len(values) / sum(values))


def test_course_takes_the_nearest_level_of_a_run_that_rises():
    rule = Unified(toward(), Constant(0.1), mu=0.0, course="decrease")
    once = estimated(rule)
    again = torch.cat([SIGMAS[:3], SIGMAS[1:]])
    run = Run(ve, again, seed=3)
    assert_close(guided([rule], Model(), run)(latent(), levels(SIGMA)).x0, once)
    churned = guided([rule], Model(), run)(latent(), levels(SIGMA * 1.1)).x0
    assert churned.isfinite().all()


# Presets.


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("scale", ["relative", "cfg", "absolute"])
def test_every_preset_builds_a_rule_that_works(name, scale):
    rule = Unified(toward(), Constant(0.05), **PRESETS[name].settings(scale))
    assert estimated(rule).isfinite().all()
    assert not torch.equal(estimated(rule), estimated())


def test_presets_are_the_methods_that_they_name():
    build = lambda name, scale: Unified(toward(), Constant(0.5), **PRESETS[name].settings(scale))
    for name in ("DPS", "FreeDoM"):
        assert_close(
            estimated(build(name, "relative")), estimated(Forward(toward(), Constant(0.5)))
        )
    manifold = Manifold(toward(), Constant(0.5))
    assert_close(estimated(build("MPGD", "relative")), estimated(manifold))
    assert not build("MPGD", "absolute").through_model
    assert build("TFG label", "absolute").mu == 0.5


# rho, mu, gamma, draws, steps of mean guidance, course, root, step, as published: DPS's and MPGD's
# configurations for super-resolution and blur, FreeDoM's for parsing, TFG's scripts by task.
PUBLISHED = {
    "DPS": (0.3, 0.0, 0.0, 0, 1, "constant", True, "DPS"),
    "LGD": (1.0, 0.0, 1.0, 4, 1, "constant", False, "TFG"),
    "FreeDoM": (0.2, 0.0, 0.0, 0, 1, "constant", True, "FreeDoM"),
    "MPGD": (0.0, 4.0, 0.0, 0, 1, "constant", True, "MPGD"),
    "universal guidance": (1.0, 1.0, 0.0, 0, 4, "constant", False, "TFG"),
    "TFG label": (2.0, 0.5, 0.1, 1, 4, "increase", False, "TFG"),
    "TFG deblur": (1.0, 8.0, 0.01, 1, 4, "increase", True, "TFG"),
    "TFG super-resolution": (4.0, 2.0, 0.01, 1, 4, "increase", True, "TFG"),
    "TFG style": (0.0025, 0.02, 0.1, 1, 4, "increase", True, "TFG"),
}


def test_presets_have_the_published_values_in_the_absolute_scale():
    names = ("rho", "mu", "gamma", "samples", "iterations", "course", "root", "step")
    assert PRESETS.keys() == PUBLISHED.keys()
    for name, values in PUBLISHED.items():
        settings = PRESETS[name].settings("absolute")
        assert settings == {"scale": "absolute", **dict(zip(names, values, strict=True))}


def test_relative_presets_push_with_their_larger_share_at_one():
    """Each is its published mix of rho and mu: what is 0 stays 0, what is larger stays larger."""
    for name, (rho, mu, *_) in PUBLISHED.items():
        settings = PRESETS[name].settings("relative")
        assert max(settings["rho"], settings["mu"]) == 1
        assert (settings["rho"] == 0, settings["mu"] == 0) == (rho == 0, mu == 0)
        assert (settings["rho"] > settings["mu"]) == (rho > mu)


class Maps:
    captures = frozenset({Attention()})

    def __call__(self, estimate):
        return estimate.capture(Attention()).flatten(1).sum(1)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_refuse_an_energy_that_they_cannot_use(name):
    preset = PRESETS[name]
    if preset.relative[1] or preset.gamma:
        with pytest.raises(ValueError, match="reads attention or features"):
            Unified(Maps(), Constant(0.5), **preset.settings("relative"))
    else:
        Unified(Maps(), Constant(0.5), **preset.settings("relative"))


# Projection.


class Autoencoder:
    """Keeps only what two of four channels say."""

    def __call__(self, x0):
        return x0[:, :2]

    def encode(self, image):
        return torch.cat([image, 0 * image], 1)


def test_projection_takes_the_gradient_behind_the_autoencoder():
    def model(x, sigma):
        return replace(Model()(x, sigma), decode=Autoencoder())

    rule = Manifold(toward(), Constant(0.5), projected=True)
    moved = estimated(rule, model=model) - estimated()
    assert (moved[:, 2:] == 0).all()
    assert (moved[:, :2] != 0).all()


def test_projection_without_an_encoder_says_what_to_do():
    with pytest.raises(ValueError, match="cannot encode: connect a VAE"):
        estimated(Manifold(toward(), Constant(0.5), projected=True))


def test_the_estimate_that_is_seen_keeps_its_noise_level():
    seen = []

    def energy(estimate: Estimate):
        seen.append(estimate.sigma)
        return toward()(estimate)

    estimated(Unified(energy, Constant(0.5), gamma=0.5, samples=2))
    assert all(torch.equal(sigma, levels(SIGMA)) for sigma in seen)
