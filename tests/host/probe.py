"""Rules and energies that measure instead of guiding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from energy_guidance.guidance_core.gradients import through_model
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.guidance_core.trace import Record
from energy_guidance.nodes.host import guide
from energy_guidance.tests.host import tiny


@dataclass(frozen=True)
class Nearness:
    """Squared distance of the latent, or of the picture, from a value."""

    value: float = 0.5
    reads_image: bool = False
    networks: tuple = ()
    captures: ClassVar[frozenset] = frozenset()

    def __call__(self, estimate):
        seen = estimate.image if self.reads_image else estimate.x0
        for network in self.networks:
            seen = network(seen)
        return (seen.float() - self.value).square().flatten(1).mean(1)


@dataclass(frozen=True)
class Slopes:
    """Records the slope of the energy along a direction: by autograd, and by finite differences."""

    energy: Any = field(default_factory=Nearness)
    strength: Any = field(default_factory=Constant)
    step: float = 1e-2
    through_model: ClassVar[bool] = True

    def __call__(self, denoise, x, sigma, run):
        direction = run.noise(x, 7)
        estimate, energy, grad = through_model(self.energy, denoise, x, sigma)
        h = self.step
        ahead = self.energy(denoise(x + h * direction, sigma)).double()
        behind = self.energy(denoise(x - h * direction, sigma)).double()
        terms = {
            "autograd": (grad.double() * direction).flatten(1).sum(1),
            "difference": (ahead - behind) / (2 * h),
            "grad": grad,
        }
        run.record(Record("Slopes", float(sigma[0]), energy, energy, energy, None, terms))
        return estimate


def slopes_at_first_step(model, **options):
    """What Slopes records in one step, inside inference mode as the host does."""
    records = []
    with torch.inference_mode():
        guided = guide.apply(model, [Slopes()], trace=records.append)
        tiny.sample(guided, steps=1, **{"cfg": 1.0, **options})
    return records[0]


class Plain:
    """A layer-wise look at what the network is asked: (batch, carries a graph, cond_or_uncond)."""

    def __init__(self) -> None:
        self.calls = []

    def __call__(self, executor, x, *args, **kwargs):
        options = kwargs.get("transformer_options") or args[4]
        self.calls.append((x.shape[0], x.requires_grad, tuple(options["cond_or_uncond"])))
        return executor(x, *args, **kwargs)


def agree(record, tolerance=2e-2):
    autograd, difference = record.terms["autograd"], record.terms["difference"]
    assert torch.isfinite(autograd).all()
    assert autograd.abs().max() > 1e-6
    torch.testing.assert_close(autograd, difference, rtol=tolerance, atol=1e-6)
