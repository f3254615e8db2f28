"""Optimal transport: marginals, the best of all orders, and the blurred optimum."""

from __future__ import annotations

import itertools

import pytest
import torch

from guidance_core.procedures.transport import transport


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_rows_and_columns_sum_up_to_the_masses():
    one, other = (masses / masses.sum() for masses in (draw(5) + 0.1, draw(7, seed=1) + 0.1))
    plan = transport(draw(5, 7, seed=2), one, other, blur=0.1, rounds=200)
    torch.testing.assert_close(plan.sum(1), one, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(plan.sum(0), other, rtol=1e-6, atol=1e-9)


def test_equal_masses_go_in_the_order_that_costs_least():
    cost, masses = draw(6, 6), torch.full((6,), 1 / 6, dtype=torch.float64)
    plan = transport(cost, masses, masses, rounds=100)
    price = lambda order: sum(float(cost[row, column]) for row, column in enumerate(order))
    best = min(itertools.permutations(range(6)), key=price)
    assert tuple(plan.argmax(1).tolist()) == best
    assert float(plan.max(1).values.min()) > 0.95 / 6


@pytest.mark.parametrize("blur", [0.05, 0.3])
def test_two_points_are_blurred_as_the_closed_form_says(blur):
    # With equal masses the diagonal d of a 2 x 2 plan solves 2 log(d / (1/2 - d)) = gap / e.
    cost = torch.tensor([[0.0, 1.0], [1.0, 0.5]], dtype=torch.float64)
    half = torch.full((2,), 0.5, dtype=torch.float64)
    plan = transport(cost, half, half, blur=blur, rounds=500)
    gap = cost[0, 1] + cost[1, 0] - cost[0, 0] - cost[1, 1]
    ratio = (gap / (2 * blur * cost.mean())).exp()
    truth = 0.5 * ratio / (1 + ratio)
    torch.testing.assert_close(plan.diagonal(), truth.expand(2))


def test_points_of_no_cost_are_spread_by_their_masses():
    one, other = torch.tensor([0.25, 0.75]), torch.tensor([0.5, 0.3, 0.2])
    plan = transport(torch.zeros(2, 3), one, other)
    torch.testing.assert_close(plan, one[:, None] * other)
