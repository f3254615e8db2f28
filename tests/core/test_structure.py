"""DiffuseIT's loss: against its code's formula in float64, and its memory of the step before."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from guidance_core.compose import guided
from guidance_core.energies.masked import Masked
from guidance_core.energies.structure import Structure
from guidance_core.networks.protocols import ViTTokens
from guidance_core.rules.manifold import Manifold
from guidance_core.run import Run
from guidance_core.schedules import Constant
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, TinyViT, assert_close, levels, seeded
from tests.ground_truth import flow, ve

SOURCE = seeded(1, 3, 6, 6, seed=2).sigmoid()
IMAGES = seeded(2, 3, 6, 6, seed=3).sigmoid()
SIGMAS = torch.tensor([9.0, 6.0, 4.0, 1.0, 0.0], dtype=DOUBLE)


class Classed(TinyViT):
    """Nine patches and a class token, which looks at the whole image."""

    def tokens(self, image: Tensor) -> ViTTokens:
        seen = super().tokens(image)
        own = (image.mean((2, 3)) @ seeded(3, 6, seed=12)).sin()
        return seen._replace(class_key=own[:, None], pooled=own.cos())


def published(image: Tensor, before: Tensor | None = None) -> Tensor:
    """1000 similarity + 200 contrast - 100 away, over 1000: the loss of its code by tokens."""
    there = Classed().tokens(SOURCE)
    here = Classed().tokens(image)
    q, k = here.all_keys[0], there.all_keys[0]
    alike = lambda a, b: F.cosine_similarity(a[:, None], b[None], dim=2)
    loss = 1000 * F.mse_loss(alike(q, q), alike(k, k))
    scores = alike(q, k)
    positive = scores.diagonal()[:, None]
    negative = scores.masked_fill(torch.eye(len(q), dtype=torch.bool), -10.0)
    logits = torch.cat([positive, negative], 1) / 0.07
    loss = loss + 200 * F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))
    if before is not None:
        loss = loss - 100 * F.mse_loss(Classed().tokens(before).pooled[0], here.pooled[0])
    return loss / 1000


def shown(image: Tensor, sigma: float = 9.0) -> Estimate:
    return Estimate(image, levels(sigma, len(image)), lambda x0: x0)


def test_the_default_is_the_published_loss_with_its_gradient():
    image = IMAGES.clone().requires_grad_()
    value = Structure(Classed(), SOURCE)(shown(image))
    expected = torch.stack([published(image[:1]), published(image[1:])])
    assert_close(value, expected)
    slopes = [torch.autograd.grad(v.sum(), image, retain_graph=True)[0] for v in (value, expected)]
    assert_close(*slopes)


def recorded(energy, alpha=ve, sigmas=SIGMAS, strength: float = 0.0, images=IMAGES) -> list[Tensor]:
    """The energies of a run whose estimate at each noise level is another image."""
    records = []
    run = Run(alpha, sigmas, record=lambda record: records.append(record.energy))
    look = lambda x, sigma: Estimate(x + 0, sigma, lambda x0: x0)
    denoise = guided([Manifold(energy, Constant(1e-12))], look, run)
    for sigma in sigmas[:-1].tolist():
        denoise(images * (1 - sigma / 20 / sigmas[0]), levels(sigma, len(images)))
    return records


def image_at(place: int, sigmas=SIGMAS, images=IMAGES) -> Tensor:
    return images * (1 - sigmas[place] / 20 / sigmas[0])


def test_it_moves_away_from_the_class_token_of_the_step_before_while_there_is_noise():
    values = recorded(Structure(Classed(), SOURCE))
    for place, noisy in enumerate((False, True, True, False)):
        now = image_at(place)
        before = image_at(place - 1) if noisy else None
        rows = [slice(i, i + 1) for i in range(2)]
        expected = [published(now[row], before[row] if noisy else None) for row in rows]
        torch.testing.assert_close(values[place], torch.stack(expected), rtol=1e-8, atol=1e-10)


def test_on_a_flow_noise_counts_against_its_signal():
    sigmas = torch.tensor([0.9, 0.8, 0.7, 0.0], dtype=DOUBLE)  # 9, 4 and 2.3 of its signal
    values = recorded(Structure(Classed(), SOURCE), flow, sigmas)
    for place, noisy in enumerate((False, True, False)):
        now, before = image_at(place, sigmas), image_at(place - 1, sigmas)
        expected = published(now[:1], before[:1] if noisy else None)
        torch.testing.assert_close(values[place][0], expected, rtol=1e-8, atol=1e-10)


def test_the_memory_dies_with_the_run_and_the_energy_stays_as_it_is():
    energy = Structure(Classed(), SOURCE)
    first, again = recorded(energy), recorded(energy)
    assert all(map(torch.equal, first, again))


@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: Masked(e, torch.ones(2, 6, 6))])
def test_each_sample_remembers_itself(wrap):
    """A mask for each sample asks row by row."""
    both = recorded(wrap(Structure(Classed(), SOURCE)))
    for row in range(2):
        alone = recorded(Structure(Classed(), SOURCE), images=IMAGES[row : row + 1])
        for together, single in zip(both, alone, strict=True):
            assert_close(together[row], single[0])


def test_steps_within_one_noise_level_are_not_the_step_before():
    energy, estimate = Structure(Classed(), SOURCE), shown(IMAGES)
    first = energy(estimate)
    assert_close(energy(replace(estimate, x0=IMAGES / 2)), energy(shown(IMAGES / 2)))
    assert_close(energy(estimate), first)
