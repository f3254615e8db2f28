"""The LoRA of Shapes for few steps: its training, its file, and what it samples."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from safetensors.torch import load_file
from torch import Tensor

from bench.few_steps import cells
from guidance_core.shapes import oracle
from tools import diffusers_host
from tools.diffusers_host import LEVELS, TURBO, Settings
from tools.shapes import lora, text, train_turbo
from tools.shapes.critic import Critic
from tools.shapes.latents import generator_of
from tools.shapes.unseen import scenes_from

LCM = Settings(steps=4, eta=math.inf, scheduler="sgm_uniform")


@pytest.fixture(scope="module")
def plain() -> diffusers_host.Shapes:
    return diffusers_host.load(device="cpu")


@pytest.fixture(scope="module")
def turbo(plain) -> diffusers_host.Shapes:
    return replace(plain, unet=lora.merged(plain.unet, TURBO))


def runs(rows: int = 6) -> train_turbo.Runs:
    x0 = torch.randn(rows, 4, 16, 16, generator=generator_of(0, 0))
    return train_turbo.Runs(x0, text.tokens(["a circle"] * rows))


def test_every_second_level_of_eight_steps_is_a_level_of_four():
    eight, four = LEVELS.sgm_uniform(8), LEVELS.sgm_uniform(4)
    assert torch.allclose(eight[::2], four)
    assert torch.allclose(LEVELS.normal(5)[:-2], four[:-1])


def test_runs_of_four_and_of_eight_steps_visit_their_levels_and_begin_anew():
    own = runs()
    assert own.stride.tolist() == [2, 2, 2, 2, 1, 1]
    seen = [set() for _ in own.stride]
    for turn in range(16):
        _, sigma = own.noised(generator_of(0, turn))
        for levels, level in zip(seen, sigma.tolist(), strict=True):
            levels.add(level)
        own.advance(own.x0 + 1, text.tokens(["a square"] * 6))
    assert seen[0] == set(LEVELS.sgm_uniform(4)[:-1].tolist())
    assert seen[-1] == set(LEVELS.sgm_uniform(8)[:-1].tolist())
    assert bool((own.ids == text.tokens(["a square"])).all())


def test_a_run_begins_with_noise_alone_and_goes_on_from_its_estimate():
    own = runs(256)
    x, sigma = own.noised(generator_of(0, 1))
    first = own.step == 0
    error = (x - own.x0) / sigma.view(-1, 1, 1, 1)
    assert float(error[~first].std()) == pytest.approx(1, abs=0.01)
    correlation = lambda rows: float((x[rows] * own.x0[rows]).mean())
    assert abs(correlation(first)) < 0.3
    assert correlation(~first) == pytest.approx(1, abs=0.2)


def test_finished_estimates_are_judged_with_a_little_noise_others_where_they_go_on():
    own = runs()
    level = own.judged_at(generator_of(0, 2))
    following = LEVELS.sgm_uniform(8)[own.step + own.stride]
    last = following == 0
    assert bool(last.any())
    assert torch.equal(level[~last], following[~last])
    assert float(level[last].min()) >= train_turbo.LEAST


def test_model_and_critic_learn_against_each_other(plain):
    """One loss for both: each gradient is that of its own part alone."""
    torch.manual_seed(0)
    critic = Critic(plain.unet)
    real, wrong = ([torch.randn(2, *shape) for shape in SHAPES] for _ in range(2))
    fake = [torch.randn(2, *shape, requires_grad=True) for shape in SHAPES]
    train_turbo.losses(critic, fake, real, wrong).backward()
    learned = [parameter.grad.clone() for parameter in critic.parameters()]
    critic.zero_grad()
    cut = [one.detach() for one in fake]
    train_turbo.losses(critic, cut, real, wrong).backward()
    for own, alone in zip(learned, critic.parameters(), strict=True):
        torch.testing.assert_close(own, alone.grad)
    pushed = torch.autograd.grad(torch.nn.functional.softplus(-critic(fake)).mean(), fake)
    for one, alone in zip(fake, pushed, strict=True):
        torch.testing.assert_close(one.grad, alone)


SHAPES = ((64, 16, 16), (128, 8, 8), (128, 8, 8))


def test_the_critic_reads_the_half_of_the_unet_that_leads_down(plain):
    critic = Critic(plain.unet)
    x, sigma = torch.randn(2, 4, 16, 16), torch.tensor([0.5, 4.0])
    states = plain.encode(["a red circle", ""])
    found = critic.features(x, sigma, states)
    assert [tuple(one.shape[1:]) for one in found] == list(SHAPES)
    seen: list[Tensor] = []
    handle = plain.unet.mid_block.register_forward_hook(lambda m, i, out: seen.append(out))
    with torch.no_grad():
        inputs = x / (1 + sigma.square()).sqrt().view(-1, 1, 1, 1)
        plain.unet(inputs, LEVELS.timestep(sigma), states)
    handle.remove()
    torch.testing.assert_close(found[-1], seen[0])
    names = {name.partition(".")[0] for name, _ in critic.named_parameters()}
    assert names == {"heads"}


def test_captions_of_other_scenes_are_wrong_unless_empty_or_the_same():
    ids = text.tokens(["a circle", "a square", "a square", "", "a triangle"])
    # Each row under the caption of the row before it.
    assert train_turbo.others(ids).tolist() == [0, 1, 3]


def test_infinite_eta_is_the_sampler_lcm(plain):
    """Each step leaves the estimate alone, and all noise is new."""
    first = diffusers_host.ancestral_share(math.inf, 4.0, 1.6)
    assert first == diffusers_host.ancestral_share(math.inf, 0.7, 0.0) == 1.0
    run = diffusers_host.sampling.Run(torch.ones_like, LEVELS.sgm_uniform(4))
    sampler = diffusers_host.ancestral(math.inf, run)
    estimate = lambda x, sigma: diffusers_host.sampling.Estimate(torch.full_like(x, 3.0), sigma)
    levels = LEVELS.sgm_uniform(4)
    halfway = sampler(estimate, torch.randn(64, 4, 16, 16), levels[:2])
    assert float(halfway.mean()) == pytest.approx(3, abs=0.1)
    assert float(halfway.std()) == pytest.approx(float(levels[1]), rel=0.02)
    assert torch.equal(sampler(estimate, halfway, levels[-2:]), torch.full_like(halfway, 3.0))


def test_the_file_is_small_and_changes_every_layer_it_was_trained_on(plain):
    assert TURBO.stat().st_size <= 2_000_000
    state = load_file(TURBO)
    added = lora.adapted(diffusers_host.load(device="cpu").unet)
    assert {key.partition(".")[0] for key in state} == set(added)
    assert all(torch.count_nonzero(value) for value in state.values())


def shown(model: diffusers_host.Shapes, captions: list[str]) -> int:
    settings = replace(LCM, batch=len(captions), seed=77)
    latents = diffusers_host.sample(model, [], settings, positive=captions)
    pairs = zip(oracle.judge(model.images(latents)), captions, strict=True)
    return sum(verdict.matches(caption) for verdict, caption in pairs)


def test_four_steps_show_what_captions_say(turbo):
    captions = [scene.caption() for scene in scenes_from(96_000_000, 8, objects=1)]
    assert shown(turbo, captions) >= 6


def test_a_label_is_obeyed_in_four_steps(turbo):
    guided = next(setting for setting in cells.LABEL if setting.rule == "Forward")
    job = {**asdict(guided), "steps": 4, "seed": 30_000_000, "batch": 6}
    assert sum(cells.measured(turbo, cells.COLOUR, job)["satisfied"]) >= 4


def test_a_seed_repeats_its_images(turbo):
    one, again = (diffusers_host.sample(turbo, [], replace(LCM, batch=2)) for _ in range(2))
    assert torch.equal(one, again)
