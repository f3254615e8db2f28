"""The negative prompt by which guidance follows a path: closed forms."""

from __future__ import annotations

import contextlib

import pytest
import torch

from guidance_core.procedures.inversion import Path
from guidance_core.procedures.null_text import NullText, adapted
from guidance_core.run import Run
from guidance_core.types import Estimate

CFG = 7.5
SIGMAS = torch.tensor([2.0, 1.0, 0.4, 0.0], dtype=torch.float64)


def test_states_are_the_least_squares_solution_for_a_linear_model():
    generator = torch.Generator().manual_seed(1)
    matrix = torch.randn(6, 4, generator=generator)
    wanted = torch.randn(2, 6, generator=generator)
    loss = lambda states: (states.flatten(1) @ matrix.T - wanted).square().mean(1)
    found = adapted(loss, torch.zeros(2, 2, 2), 4000, 0.02, 0.0)
    truth = torch.linalg.lstsq(matrix, wanted.T).solution.T
    torch.testing.assert_close(found.flatten(1), truth, rtol=1e-3, atol=1e-3)


def test_a_sample_stops_where_it_is_close_and_does_not_meet_the_others():
    wanted = torch.tensor([[0.0], [1.0]])
    loss = lambda states, wanted=wanted: (states.flatten(1) - wanted).square().mean(1)
    found = adapted(loss, torch.zeros(2, 1, 1), 50, 0.05, 1e-4)
    assert found[0].item() == 0.0
    assert abs(found[1].item() - 1.0) < 0.02
    alone = adapted(lambda states: loss(states, wanted[1:]), torch.zeros(1, 1, 1), 50, 0.05, 1e-4)
    assert torch.equal(found[1:], alone)


class Toy:
    """A model whose x0 is the states of its prompt, and those of the positive one a constant."""

    def __init__(self, positive):
        self.positive, self.states, self.found = positive, None, []

    @contextlib.contextmanager
    def shown(self, states):
        self.states = states
        try:
            yield
        finally:
            self.states = None

    def denoise(self, x, sigma):
        seen = self.positive if self.states is None else self.states.to(x)
        return Estimate(seen.reshape(len(seen), *x.shape[1:]).expand_as(x) + 0 * x, sigma)


def followed(alpha, iterations, flow):
    """The states found along a path, and the run's last state beside the path's."""
    generator = torch.Generator().manual_seed(3)
    draw = lambda *shape: 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)
    sigmas = SIGMAS / 2.5 if flow else SIGMAS
    path, toy = Path(sigmas, draw(4, 2, 1, 2, 2)), Toy(draw(2, 1, 4))
    start = draw(1, 1, 4)
    rule = NullText(
        *(path, start, CFG, lambda states: toy.shown(states)),
        lambda states, apart: toy.found.append((states, apart)),
        iterations,
    )
    run = Run(alpha, sigmas)
    x = path.states[0]
    for step in range(3):
        sigma = sigmas[step].expand(2)
        x0 = rule(toy.denoise, x, sigma, run).x0
        x = x + (sigmas[step + 1] - sigmas[step]) / sigmas[step] * (x - x0)
    return path, toy, x


@pytest.mark.parametrize("flow", [False, True])
def test_a_run_follows_the_path_with_the_states_of_the_closed_form(flow):
    alpha = (lambda sigma: 1 - sigma) if flow else torch.ones_like
    path, toy, x = followed(alpha, 3000, flow)
    # At the last step the estimate is what remains: (image - cfg positive) / (1 - cfg).
    truth = (path.states[-1].flatten(1) - CFG * toy.positive.flatten(1)) / (1 - CFG)
    torch.testing.assert_close(toy.found[-1][0].flatten(1).double(), truth, rtol=0.0, atol=0.02)
    limits = [1e-5 + 1e-3 * step / 3 for step in range(3)]
    for (_, apart), limit in zip(toy.found, limits, strict=True):
        assert (apart < limit).all()
    assert (x - path.states[-1]).square().mean() < limits[-1]


def test_few_iterations_come_nearer_than_none_would():
    path, _, far = followed(torch.ones_like, 1, False)
    _, _, near = followed(torch.ones_like, 200, False)
    apart = lambda x: float((x - path.states[-1]).square().mean())
    assert apart(near) < 0.1 * apart(far)


def test_settings_that_find_nothing_are_refused():
    path = Path(SIGMAS, torch.zeros(4, 1, 1, 1, 1))
    shown = lambda states: contextlib.nullcontext()
    with pytest.raises(ValueError, match="cfg 1 evaluates no negative prompt"):
        NullText(path, torch.zeros(1, 1, 1), 1.0, shown, print)
    with pytest.raises(ValueError, match="iterations must be >= 1"):
        NullText(path, torch.zeros(1, 1, 1), 2.0, shown, print, 0)
