"""Guided sampling against exact conditional sampling, on mixtures of Gaussians.

    make bench-truth
    python -m bench.truth --render

A mixture tilted by a Gaussian likelihood is a mixture again, so the true posterior can be sampled.
Every rule is sampled by Euler's method on the exact denoiser, and its distance to them is
measured against strength and number of steps, in 2 and 64 dimensions, for VE and for flows. Writes
bench/results/truth.json, docs/truth.md and docs/truth.png.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor
from tqdm import tqdm

from bench import command
from bench.truth.page import (
    LIKELIHOOD,
    PER_STEP,
    STEPS,
    STRENGTHS,
    USUAL_STEPS,
    USUAL_STRENGTH,
    Row,
    page,
    plot,
)
from guidance_core.compose import guided
from guidance_core.energies.measurement import Measurement
from guidance_core.noise import mixed_seed
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.manifold import Manifold
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.unified import Unified
from guidance_core.run import Run
from guidance_core.schedules import Constant
from guidance_core.types import Estimate, Rule
from tests.ground_truth import Mixture, flow, three_hills, ve
from tools.hosts import CHECKOUT

PROJECTIONS = 128


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Negative log-likelihood of y (D,), measured of x0 with a variance of LIKELIHOOD."""

    y: Tensor

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        return 0.5 * (estimate.x0 - self.y).square().sum(1) / LIKELIHOOD

    @property
    def measurement(self) -> Measurement:
        """The same as a linear measurement, which tells the rule its noise."""
        return Measurement(pixels(self.y[None]), noise=math.sqrt(LIKELIHOOD))


def pixels(x0: Tensor) -> Tensor:
    """Samples (B, D) as images of one pixel."""
    return x0[:, :, None, None]


RULES: dict[str, Callable[[Likelihood, float], Rule]] = {
    "forward absolute": lambda e, s: Forward(e, Constant(s), "absolute"),
    "forward calibrated, draws": lambda e, s: Forward(e, Constant(s), "calibrated"),
    "forward calibrated, measurement": lambda e, s: Forward(
        e.measurement, Constant(s), "calibrated"
    ),
    "forward relative": lambda e, s: Forward(e, Constant(s)),
    "backward relative": lambda e, s: Backward(e, Constant(s)),
    "manifold relative": lambda e, s: Manifold(e, Constant(s)),
    "unified relative": lambda e, s: Unified(e, Constant(s)),
    "posterior absolute": lambda e, s: Posterior(e, Constant(PER_STEP * s), "absolute", root=False),
    "posterior spherical": lambda e, s: Posterior(e, Constant(PER_STEP * s), "spherical"),
    "unified absolute": lambda e, s: Unified(e, Constant(PER_STEP * s), "absolute"),
}


@dataclass(frozen=True, eq=False)
class OneGenerator(Run):
    """A run whose samples are drawn together: a generator for each of a thousand takes long."""

    def noise(self, like: Tensor, *key: int | float) -> Tensor:
        """Standard normal noise like `like`, by seed and key."""
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, *key))
        return torch.randn(like.shape, generator=generator, dtype=like.dtype)


def hills(dimensions: int, alpha: Callable[[Tensor], Tensor]) -> Mixture:
    """The mixture of tests/ground_truth.py, or one of four components in more dimensions."""
    if dimensions == 2:
        return three_hills(alpha)
    generator = torch.Generator().manual_seed(dimensions)
    means = torch.randn(4, dimensions, generator=generator, dtype=torch.float64)
    weights = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    return Mixture(weights, means, torch.full((4,), 0.3, dtype=torch.float64), alpha)


def exact(mixture: Mixture, count: int, generator: torch.Generator) -> Tensor:
    """Exact samples of x0, shape (count, D)."""
    which = torch.multinomial(mixture.weights, count, replacement=True, generator=generator)
    noise = torch.randn(count, mixture.means.shape[1], generator=generator, dtype=torch.float64)
    return mixture.means[which] + mixture.variances[which, None].sqrt() * noise


def sampled(mixture: Mixture, rules: Sequence[Rule], steps: int, start: Tensor) -> Tensor:
    """Euler's method from standard normal noise `start` (B, D)."""
    if mixture.alpha is flow:
        sigmas = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    else:
        levels = torch.logspace(math.log10(20), -2, steps, dtype=torch.float64)
        sigmas = torch.cat([levels, levels.new_zeros(1)])
    seen = lambda x, sigma: replace(mixture.denoise(x, sigma), decode=pixels)
    denoise = guided(rules, seen, OneGenerator(mixture.alpha, sigmas))
    x = start * sigmas[0]
    for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
        x0 = denoise(x, high.expand(len(x))).x0
        x = x0 + low / high * (x - x0)
    return x


def wasserstein(one: Tensor, other: Tensor) -> float:
    """Sliced 2-Wasserstein distance per dimension, of two sets of as many samples (B, D)."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.randn(one.shape[1], PROJECTIONS, generator=generator, dtype=one.dtype)
    axes = axes / axes.norm(dim=0)
    gap = (one @ axes).sort(0).values - (other @ axes).sort(0).values
    return float(gap.square().mean().sqrt())


def mmd(one: Tensor, other: Tensor) -> float:
    """Maximum mean discrepancy with a Gaussian kernel as wide as the truth's median distance."""
    width = torch.pdist(other).median().square()
    kernel = lambda a, b: torch.exp(-0.5 * torch.cdist(a, b).square() / width).mean()
    square = kernel(one, one) + kernel(other, other) - 2 * kernel(one, other)
    return float(square.clamp_min(0).sqrt())


def measured(count: int) -> Iterator[Row]:
    """Every row of the table."""
    grid = [(s, USUAL_STEPS) for s in STRENGTHS]
    grid += [(USUAL_STRENGTH, n) for n in STEPS if n != USUAL_STEPS]
    for family, alpha in (("VE", ve), ("flow", flow)):
        for dimensions in (2, 64):
            mixture = hills(dimensions, alpha)
            y = mixture.means[1] + 0.3
            truth = mixture.tilted(y, LIKELIHOOD)
            generator = torch.Generator().manual_seed(1)
            posterior = exact(truth, count, generator)
            start = torch.randn(count, dimensions, generator=generator, dtype=torch.float64)

            def row(
                rule: str,
                strength: float,
                steps: int,
                samples: Tensor,
                place: tuple[str, int] = (family, dimensions),
                posterior: Tensor = posterior,
            ) -> Row:
                gaps = wasserstein(samples, posterior), mmd(samples, posterior)
                return Row(*place, rule, strength, steps, *gaps)

            yield row("another exact draw", 0, 0, exact(truth, count, generator))
            for steps in STEPS:
                yield row("unguided", 0, steps, sampled(mixture, [], steps, start))
                yield row("exact denoiser", 0, steps, sampled(truth, [], steps, start))
            for name, build in RULES.items():
                for strength, steps in grid:
                    samples = sampled(mixture, [build(Likelihood(y), strength)], steps, start)
                    yield row(name, strength, steps, samples)


def main() -> int:
    """Measure, then write the three files."""
    parser = argparse.ArgumentParser(prog="bench.truth", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--samples", type=command.positive, default=1000, help="of each distribution"
    )
    parser.add_argument("--render", action="store_true", help="only write page and plot again")
    options = parser.parse_args()
    path, docs = command.RESULTS / "truth.json", CHECKOUT / "docs"
    if not options.render:
        path.parent.mkdir(exist_ok=True)
        report = {"samples": options.samples, "rows": _rows(options.samples)}
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    report = json.loads(path.read_text(encoding="utf-8"))
    rows = [Row(**row) for row in report["rows"]]
    (docs / "truth.md").write_text(page(rows, report["samples"]), encoding="utf-8")
    plot(rows, docs / "truth.png")
    return 0


def _rows(count: int) -> list[dict[str, object]]:
    total = 4 * (1 + 2 * len(STEPS) + len(RULES) * (len(STRENGTHS) + len(STEPS) - 1))
    bar = tqdm(measured(count), total=total, disable=not sys.stderr.isatty())
    return [asdict(row) for row in bar]


if __name__ == "__main__":
    sys.exit(main())
