"""Shapes of joint attention: what it is taught, and what it makes of a text."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from safetensors.torch import save_file

from guidance_core.procedures import checkpoints
from tools import diffusers_host
from tools.diffusers_host import LEVELS
from tools.shapes import export, joint, teach_joint, text, train_joint
from tools.shapes.latents import generator_of


@pytest.fixture(scope="module")
def shapes():
    return diffusers_host.load(device="cpu")


@pytest.fixture
def lessons(shapes, monkeypatch):
    monkeypatch.setattr(teach_joint, "RUNS", 3)
    monkeypatch.setattr(teach_joint, "STEPS", 2)
    return teach_joint.shard(shapes, generator_of(0, 1))


def test_levels_fall_from_the_highest_to_the_lowest_within_a_gap():
    levels = teach_joint.levels(generator_of(0, 1))
    top, gap = LEVELS.log_sigmas[-1], levels[1:-1].log() - levels[2:].log()
    assert levels.shape == (teach_joint.STEPS + 1, teach_joint.RUNS)
    assert torch.allclose(levels[0].log(), top.expand(teach_joint.RUNS))
    even = (top - torch.tensor(teach_joint.LOWEST).log()) / teach_joint.STEPS
    assert torch.allclose(gap, even.expand_as(gap), atol=1e-4)
    assert (levels[-1] >= teach_joint.LOWEST - 1e-4).all()
    assert (levels[-1] <= teach_joint.LOWEST * even.exp()).all()


def test_a_lesson_is_the_guided_estimate_in_the_coordinates_of_a_flow(shapes, lessons):
    x, t = lessons["x"][3:], lessons["t"][3:]
    sigma, scale = t / (1 - t), (1 - t).view(-1, 1, 1, 1)
    states = shapes.text_encoder(lessons["ids"][3:]).last_hidden_state
    eps = lambda words: (
        shapes.unet(
            x / scale / (1 + sigma.square()).sqrt().view(-1, 1, 1, 1), LEVELS.timestep(sigma), words
        ).sample
    )
    with torch.no_grad():
        there, without = eps(states), eps(shapes.encode([""]).expand_as(states))
    guided = without + 4 * (there - without)
    wanted = x / scale - sigma.view(-1, 1, 1, 1) * guided
    torch.testing.assert_close(lessons["x0"][3:], wanted, rtol=1e-4, atol=1e-4)


def test_the_first_lesson_stands_for_all_noise_above(shapes, monkeypatch):
    monkeypatch.setattr(teach_joint, "STEPS", 1)
    first = teach_joint.shard(shapes, generator_of(0, 1))
    most = float(LEVELS.log_sigmas[-1].exp())
    assert (first["t"] >= most / (1 + most)).all()
    assert (first["t"] <= 1).all()
    spread = (first["t"].square() + (1 - first["t"]).square()).sqrt()
    assert torch.allclose(first["x"].flatten(1).std(1), spread, rtol=0.1)


def test_lessons_are_drawn_from_as_many_shards_as_are_wanted(tmp_path, lessons):
    for shard in range(2):
        marked = {**lessons, "x": torch.full_like(lessons["x"], shard)}
        save_file(marked, teach_joint.path_of(tmp_path, shard))
    table = train_joint.Lessons(tmp_path, 2)
    for count, there in ((1, {0.0}), (2, {0.0, 1.0}), (3, {0.0, 1.0})):
        table.upto(count)
        batch = table.batch(32, generator_of(0, 2))
        assert set(batch["x"].unique().tolist()) == there
        assert batch["ids"].shape == (32, text.LENGTH)


def test_an_exported_transformer_gives_what_was_trained_whatever_the_vector_of_its_text(tmp_path):
    from diffusers import FluxTransformer2DModel

    torch.manual_seed(3)
    model = joint.Joint().eval()
    torch.nn.init.normal_(model.net.proj_out.weight, std=0.1)
    checkpoints.save(tmp_path / "joint.pt", model=model)
    export.export_joint(tmp_path / "joint.pt", tmp_path)
    written = joint.Joint().eval()
    written.net = FluxTransformer2DModel.from_pretrained(
        tmp_path / "transformer", torch_dtype=torch.float32
    )
    x, t = torch.randn(2, 4, 16, 16), torch.tensor([0.2, 0.9])
    states = torch.randn(2, joint.TEXT, 64)
    with torch.no_grad():
        wanted, found = model(x, t, states), written(x, t, states)
        embed = written.net.time_text_embed
        vectors = [embed(t * 1000, v) for v in (torch.zeros(2, 64), torch.randn(2, 64))]
    assert (found - wanted).norm() < 1e-2 * wanted.norm()
    assert torch.equal(*vectors)


def test_latents_stand_in_patches_row_by_row():
    """Moving the latent by a patch moves what is seen of it by one place of the text's order."""
    model = joint.Joint()
    assert model.places.shape == (64, 3)
    assert model.places[1].tolist() == [0, 0, 1]
    assert model.places[8].tolist() == [0, 1, 0]
    model.net.forward = lambda patches, *args, **options: (patches,)
    x = torch.randn(2, 4, 16, 16)
    out = model(x, torch.zeros(2), torch.zeros(2, joint.TEXT, 64))
    assert torch.equal(out, x)
