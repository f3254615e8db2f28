"""Training of directions: the published loss in its own words, and steps that can be continued."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from guidance_core.procedures.direction_training import DirectionalClip, DirectionTraining
from guidance_core.types import Estimate


class Eyes(nn.Module):
    """A CLIP model that sees the mean colour and reads three sentences."""

    texts = {
        "grey": (1.0, 1.0, 1.0),
        "red": (1.0, 0.0, 0.0),
        "blue": (0.0, 0.0, 1.0),
    }

    def encode_image(self, image):
        return nn.functional.normalize(image.mean((2, 3)), dim=-1)

    def encode_text(self, texts):
        return nn.functional.normalize(torch.tensor([self.texts[text] for text in texts]), dim=-1)


def seen(*colour):
    image = torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 4, 4).clone()
    return Estimate(image, torch.ones(1), decode=lambda x0: x0)


def test_the_loss_is_the_published_one():
    loss = DirectionalClip(Eyes(), ("grey",), ("red", "blue"), keep=0.5)
    plain, edited = seen(0.5, 0.5, 0.5), seen(0.6, 0.4, 0.6)
    unit = lambda *part: torch.tensor(part) / torch.tensor(part).norm()
    text = (unit(1.0, 0.0, 0.0) + unit(0.0, 0.0, 1.0)) / 2 - unit(1.0, 1.0, 1.0)
    change = unit(0.6, 0.4, 0.6) - unit(0.5, 0.5, 0.5)
    apart = 1 - float(change @ text / change.norm() / text.norm())
    by_hand = -math.log((2 - apart) / 2) + 0.5 * 0.1
    assert float(loss(edited, plain)) == pytest.approx(by_hand, rel=1e-4)
    # Along the direction costs nothing but the change, against it the most.
    assert float(loss(seen(0.6, 0.3, 0.6), plain)) < float(loss(seen(0.4, 0.6, 0.4), plain))


def test_a_network_without_sentences_is_refused():
    with pytest.raises(TypeError, match="training needs a CLIP model, got Linear"):
        DirectionalClip(nn.Linear(1, 1), ("a",), ("b",))


def test_steps_go_down_and_a_training_that_was_kept_goes_on_alike(tmp_path):
    h = torch.randn(2, 6, 3, 3, generator=torch.Generator().manual_seed(1))
    aim = torch.full_like(h, 0.3)

    def steps(training, count):
        for _ in range(count):
            training.step((training.shift(h, 2.0) - aim).square().flatten(1).mean(1))

    whole = DirectionTraining(6, 0.05)
    steps(whole, 20)
    assert whole.losses[-1] < 0.1 * whole.losses[0]
    part = DirectionTraining(6, 0.05)
    steps(part, 12)
    part.save(tmp_path / "state.pt")
    again = DirectionTraining(6, 0.05)
    assert again.resume(tmp_path / "state.pt")
    steps(again, 8)
    assert again.losses == whole.losses
    assert torch.equal(again.shift(h, 2.0), whole.shift(h, 2.0))


def test_a_loss_that_is_not_finite_is_left_out():
    training = DirectionTraining(6, 0.05)
    before = [weight.clone() for weight in training.network.parameters()]
    training.step(training.shift(torch.ones(1, 6, 1, 1), 1.0).mean()[None] * float("nan"))
    assert all(map(torch.equal, before, training.network.parameters()))
    assert training.losses == []


def test_the_learning_rate_falls_on_a_line_over_the_runs():
    training, seen = DirectionTraining(6, 0.4), []
    for number in range(4):
        training.runs = number
        training.pace(4)
        before = training.network.second.bias.detach().clone()
        training.step(training.shift(torch.ones(1, 6, 2, 2), 1.0).flatten(1).sum(1))
        # Adam's step along a constant slope is as long as its rate.
        step = training.network.second.bias.detach() - before
        seen.append(float(step.abs().max()))
    assert seen == pytest.approx([0.4, 0.3, 0.2, 0.1], rel=1e-3)
