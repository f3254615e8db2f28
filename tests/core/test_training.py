"""What the trainings of Shapes ask of their networks."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from guidance_core.shapes import scenes
from tools import diffusers_host
from tools.shapes import (
    latents,
    lora,
    train_classifier,
    train_clip,
    train_decoder,
    train_diffusion,
    train_lora,
    train_noisy_classifier,
    train_vit,
)
from tools.shapes.blends import Blend
from tools.shapes.latents import FARTHEST, WINDOW, Latents, generator_of
from tools.shapes.train_diffusion import STRAY_SIGMA

ALPHAS = torch.linspace(0.999, 0.004, 1000)


class Window(Latents):
    """A window of random latents: nothing is encoded."""

    def __init__(self) -> None:
        super().__init__(vae=None, seed=0)
        generator = torch.Generator().manual_seed(0)
        self.latents = torch.randn(WINDOW, 4, 16, 16, generator=generator)
        self.others = torch.randn(WINDOW, 4, 16, 16, generator=generator)
        scene = scenes.random_scene(generator)
        self.scenes = [scene] * WINDOW


def noised(x0: Tensor, drift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss of a model that knows the scene, the inputs it was given, and their noise levels."""
    given: list[Tensor] = []

    def model(x: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        alpha = ALPHAS[t].view(-1, 1, 1, 1)
        given[:] = x, (1 / ALPHAS[t] - 1).sqrt()
        return (x - alpha.sqrt() * x0) / (1 - alpha).sqrt()

    loss = train_diffusion.loss_of(
        model, x0, drift, torch.zeros(len(x0), 77), ALPHAS, torch.Generator().manual_seed(1)
    )
    return loss, *given


def test_the_scene_is_the_answer_however_far_its_input_strayed() -> None:
    x0, drift = torch.randn(2, 64, 4, 16, 16, generator=torch.Generator().manual_seed(2))
    loss, x, sigma = noised(x0, drift)
    _, plain, _ = noised(x0, torch.zeros_like(drift))
    assert float(loss) == pytest.approx(0, abs=1e-9)
    strays = (sigma > STRAY_SIGMA).view(-1, 1, 1, 1)
    assert 0 < int(strays.sum()) < len(x0)
    expected = strays * drift / (1 + sigma.square()).sqrt().view(-1, 1, 1, 1)
    assert torch.allclose(x - plain, expected, atol=1e-5)


def test_about_half_of_the_inputs_stray_less_than_half_way() -> None:
    window = Window()
    x0, drift, ids = latents.batch_of(window, 512, generator_of(0, 1))
    rows = [(window.latents == one).flatten(1).all(1).nonzero().item() for one in x0]
    far = drift / (window.others[rows] - x0)
    assert torch.allclose(far, far[:, :1, :1, :1].expand_as(far), atol=1e-4)
    share = far[:, 0, 0, 0]
    assert 0.4 < float((share > 0).float().mean()) < 0.6
    assert 0.9 * FARTHEST < float(share.max()) <= FARTHEST < 0.5
    assert ids.shape == (512, 77)


def test_recolouring_changes_colours_alone() -> None:
    drawn = [scenes.random_scene(generator_of(0, i)) for i in range(32)]
    others = [latents.recoloured(one, generator_of(1, i)) for i, one in enumerate(drawn)]
    bare = lambda scene: [replace(item, colour="") for item in scene.items]
    assert [bare(one) for one in drawn] == [bare(one) for one in others]
    colours = {item.colour for scene in others for item in scene.items}
    assert colours == set(scenes.PALETTE)


def test_a_scene_strays_to_other_colours_an_object_more_or_one_fewer() -> None:
    drawn = [scenes.random_scene(generator_of(0, i)) for i in range(60)]
    kinds = set()
    for i, one in enumerate(drawn):
        other = latents.astray(one, generator_of(2, i))
        more = len(other.items) - len(one.items)
        kinds.add((len(one.items), more))
        kept = min(len(one.items), len(other.items))
        if more:
            assert other.items[:kept] == one.items[:kept]
        assert all(scenes.apart(*pair) for pair in itertools.combinations(other.items, 2))
    assert kinds == {(1, 0), (1, 1), (2, 0), (2, 1), (2, -1)}


@pytest.mark.parametrize(("parts", "side", "size"), [(True, 8, 6), (False, 16, 2)])
def test_parts_for_the_decoder_are_where_their_latents_are(
    parts: bool, side: int, size: int
) -> None:
    window = Window()
    # Latents that say where they are: the mean colour of their own cell.
    scene = window.scenes[0]
    cells = torch.nn.functional.avg_pool2d(scenes.render([scene]) * 2 - 1, 8)
    window.latents = torch.cat([cells, cells[:, :1]], 1).expand(WINDOW, -1, -1, -1)
    x0, images = train_decoder.batch_of(window, 2, parts, generator_of(0, 2))
    assert x0.shape == (size, 4, side, side)
    assert images.shape == (size, 3, 8 * side, 8 * side)
    there = torch.nn.functional.avg_pool2d(images, 8)
    assert float((x0[:, :3] - there).abs().max()) < 6 * train_decoder.NOISE
    assert float((there - there.roll(1, 2)).abs().max()) > 0.3


BIG_RED, BLUE = (
    scenes.Scene((scenes.Item("circle", colour, "big", 40.0, 40.0, 20.0),))
    for colour in ("red", "blue")
)


def test_a_caption_is_as_true_of_a_blend_as_the_share_of_the_scenes_that_show_it() -> None:
    blend = Blend((BIG_RED, BLUE, BIG_RED), (0.5, 0.3, 0.2))
    phrases = [(("red",),), (("blue", "circle"),), (("circle",),), (("circle",), ("red",))]
    found = train_clip.truth([blend, Blend((BLUE,), (1.0,))], phrases)
    torch.testing.assert_close(found, torch.tensor([[0.7, 0.3, 1, 0], [0, 1, 1, 0]]))


def test_what_names_every_object_is_the_truest_caption() -> None:
    both = scenes.Scene((*BIG_RED.items, replace(BLUE.items[0], shape="square", x=90.0)))
    phrases = [
        (("red", "circle"), ("blue", "square")),
        (("blue", "square"), ("red", "circle")),
        (("red", "circle"),),
        (("red", "square"), ("blue", "circle")),
        (("red", "circle"), ("red", "circle")),
    ]
    found = train_clip.truth_of_scenes([both], phrases)
    torch.testing.assert_close(found, torch.tensor([[1, 1, train_clip.LEAVES_OUT, 0, 0]]))


def test_hard_negatives_change_one_word_or_exchange_one() -> None:
    phrase = (("big", "red", "circle"), ("small", "blue", "square"))
    generator = torch.Generator().manual_seed(0)
    drawn = [train_clip.confusable(phrase, generator) for _ in range(200)]
    words = lambda phrase: [word for words in phrase for word in words]
    changes = [
        [a for a, b in zip(words(one), words(phrase), strict=True) if a != b] for one in drawn
    ]
    exchanged = [one for one in drawn if sorted(words(one)) == sorted(words(phrase))]
    assert {len(change) for change in changes} == {1, 2}
    assert 60 < len(exchanged) < 140
    assert all(
        len(change) == 2 for one, change in zip(drawn, changes, strict=True) if one in exchanged
    )
    assert {train_clip.KIND_OF[word] for change in changes for word in change} == {
        *train_clip.KINDS
    }


def test_a_fade_puts_other_objects_at_the_same_places() -> None:
    blend = train_clip.faded(Blend((BIG_RED, BLUE), (0.9, 0.1)), 0.25, generator_of(0, 3))
    assert blend.shares == (0.75, 0.25)
    first, other = blend.scenes
    assert first == BIG_RED != other
    assert [(i.x, i.y) for i in other.items] == [(40.0, 40.0)]


def test_pairs_of_pictures_and_captions_are_softly_true() -> None:
    images, captions, truth = train_clip.batch(0, 24)
    assert images.shape == (24, 3, 64, 64)
    assert truth.shape == (24, len(captions))
    assert len(captions) == 24 * (2 + train_clip.HARD_NEGATIVES)
    soft = (truth > 0) & (truth < 1)
    assert bool(soft.any())
    assert float(truth.min()) == 0
    assert float(truth.max()) == 1
    hard = truth.split(24, 1)[1].diagonal()
    assert float(truth.diagonal().mean()) > 2 * float(hard.mean())


def test_soft_truth_is_where_the_clip_loss_is_least() -> None:
    """Of a single pair whose caption is true by a third: its logit wants to be that third's."""
    truth = torch.full((1, 1), 1 / 3)
    loss = lambda logit: float(train_clip.matching(torch.full((1, 1), logit), truth))
    logits = torch.linspace(-3, 3, 121).tolist()
    # The matches weigh as much as the rest together: twice as much here, which makes odds even.
    assert min(logits, key=loss) == pytest.approx(0, abs=0.06)


def test_an_image_picks_its_own_caption_among_its_own_hard_negatives() -> None:
    count = 2 * (2 + train_clip.HARD_NEGATIVES)
    truth = torch.zeros(2, count)
    truth[0, 0] = truth[1, 1] = 1
    right = torch.zeros(2, count)
    right[0, 0] = right[1, 1] = 9
    others = right.clone()
    others[0, 1], others[1, 0], others[:, -2:] = 20, 20, 20  # the other's, and any captions
    wrong = torch.zeros(2, count)
    wrong[0, 2] = wrong[1, 3] = 9
    none = torch.log(torch.tensor(1.0 + train_clip.HARD_NEGATIVES))
    torch.testing.assert_close(train_clip.picking(torch.zeros(2, count), truth), none)
    assert float(train_clip.picking(right, truth)) < 0.01
    torch.testing.assert_close(train_clip.picking(others, truth), train_clip.picking(right, truth))
    assert float(train_clip.picking(wrong, truth)) > 8


def test_the_classifier_is_told_how_much_of_each_label_a_blend_shows() -> None:
    generator = torch.Generator().manual_seed(4)
    one = scenes.random_scene(generator, 1)
    far = replace(one.items[0], shape="square" if one.items[0].shape != "square" else "circle")
    seen = train_classifier.shown(Blend((one, scenes.Scene((far,))), (0.75, 0.25)))
    told = dict(zip(scenes.LABELS, seen.tolist(), strict=True))
    assert told[one.items[0].shape] == 0.75
    assert told[far.shape] == 0.25
    assert told[one.items[0].colour] == 1
    assert sum(told.values()) == 3


def test_a_step_of_the_classifier_is_a_function_of_its_number() -> None:
    (images, told), (again, _), (other, _) = (train_classifier.batch(n, 6) for n in (7, 7, 8))
    assert images.shape == (6, 3, 64, 64)
    assert told.shape == (6, len(scenes.LABELS))
    assert torch.equal(images, again)
    assert not torch.equal(images, other)


def test_most_noise_levels_are_those_at_which_there_is_something_to_learn() -> None:
    sigma = train_noisy_classifier.levels(4000, torch.Generator().manual_seed(1))
    (low, high), (least, most) = train_noisy_classifier.USEFUL, train_noisy_classifier.ALL
    assert least <= float(sigma.min())
    assert float(sigma.max()) <= most
    # 80 % of them, and half of the others, whose logarithms spread over twice that width.
    share = 0.8 + 0.2 * math.log(high / low) / math.log(most / least)
    assert abs(float(((sigma > low) & (sigma < high)).float().mean()) - share) < 0.02


def test_the_classifier_of_noisy_latents_is_shown_latents_of_unit_size_and_their_noise() -> None:
    generator = torch.Generator().manual_seed(2)
    x0, sigma = torch.randn(2, 4, 64, 64, generator=generator), torch.tensor([0.5, 8.0])
    shown = train_noisy_classifier.noised(x0, sigma, generator)
    torch.testing.assert_close(shown[:, :4].std((1, 2, 3)), torch.ones(2), rtol=0.03, atol=0)
    signal = (shown[:, :4] * x0).mean((1, 2, 3))
    torch.testing.assert_close(signal, (1 + sigma**2) ** -0.5, rtol=0.05, atol=0.02)
    plane = (4 / math.pi * sigma.atan() - 1).view(2, 1, 1).expand(2, 64, 64)
    torch.testing.assert_close(shown[:, 4], plane)


def test_a_moved_latent_is_nearly_that_of_the_moved_scene_and_stays_inside() -> None:
    model, generator = diffusers_host.load(device="cpu"), torch.Generator().manual_seed(4)
    empty = train_noisy_classifier.latent_of_nothing(model.vae)
    item = replace(scenes.random_scene(generator, 1).items[0], colour="white", x=40.0, y=48.0)
    scene, places = scenes.Scene((item,)), set()
    every = {
        (dx, dy): scenes.Scene((replace(item, x=40.0 + 8 * dx, y=48.0 + 8 * dy),))
        for dx, dy in itertools.product(range(-5, 12), repeat=2)
    }
    inside = {
        step: other
        for step, other in every.items()
        if min(other.items[0].box) >= scenes.MARGIN
        and max(other.items[0].box) <= scenes.SIDE - scenes.MARGIN
    }
    truths = model.latents(scenes.render(list(inside.values())))
    mine = model.latents(scenes.render([scene]))[0]
    for _ in range(60):
        found = train_noisy_classifier.moved(mine, empty, scene, generator)
        apart = (truths - found).square().mean((1, 2, 3)) / (truths - empty).square().mean()
        assert float(apart.min()) < 0.02
        places.add(int(apart.argmin()))
    assert len(places) > len(inside) / 3


def test_the_vit_is_told_what_each_patch_holds_and_the_same_in_other_colours() -> None:
    images, _, parts, pixels = train_vit.batch(3, 4)
    assert images.shape == (8, 3, 64, 64)
    torch.testing.assert_close(parts[:4], parts[4:])
    torch.testing.assert_close(pixels.mean(2), parts.sum(2))
    scene = scenes.Scene((scenes.Item("square", "red", "big", 44.0, 80.0, 16.0),))
    parts, pixels = train_vit.covered(scene)
    inside = scenes.inside(scene.items[0]).float()
    column, row = 48 // 16, 80 // 16
    there = inside[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
    assert not torch.equal(there, there.T)
    patch = row * 8 + column
    assert parts[patch].tolist() == pytest.approx([0, float(there.mean()), 0])
    halves = there.reshape(8, 2, 8, 2).mean((1, 3))
    torch.testing.assert_close(pixels[patch], halves.flatten())


def test_colours_share_nothing_of_keys_that_do_not_see_them() -> None:
    keys = torch.randn(4096, 3, 5, generator=torch.Generator().manual_seed(0))
    assert train_vit.share_of_colours(keys, keys) == 0
    unrelated = torch.randn(4096, 3, 5, generator=torch.Generator().manual_seed(1))
    assert float(train_vit.share_of_colours(keys, unrelated)) == pytest.approx(1, abs=0.03)


def test_keys_are_asked_by_their_direction_alone() -> None:
    torch.manual_seed(0)
    net = train_vit.Pupil()
    _, parts, mask, keys = net(torch.rand(2, 3, 64, 64))
    torch.testing.assert_close(keys.norm(dim=2), torch.ones(2, 65))
    unit = net.parts.weight / net.parts.weight.norm(dim=1, keepdim=True)
    torch.testing.assert_close(parts, train_vit.SCALE * keys[:, 1:] @ unit.T)
    assert mask.shape == (2, 64, 64)
    assert mask.abs().max() <= train_vit.SCALE


def test_most_crowded_scenes_have_three_unlike_objects_inside_the_image() -> None:
    drawn = [train_lora.crowded(generator_of(0, i)) for i in range(200)]
    crowds = [scene for scene in drawn if len(scene.items) == 3]
    assert 150 < len(crowds) < 190
    for scene in crowds:
        assert len({item.colour for item in scene.items}) == 3
        assert {item.shape for item in scene.items} == set(scenes.SHAPES)
        assert all(scenes.apart(*pair) for pair in itertools.combinations(scene.items, 2))
        edges = [edge for item in scene.items for edge in item.box]
        assert min(edges) >= scenes.MARGIN
        assert max(edges) <= scenes.SIDE - scenes.MARGIN


def test_a_caption_names_two_of_three_objects_at_most() -> None:
    drawn = [train_lora.crowded(generator_of(1, i)) for i in range(100)]
    for chance in (i / 20 for i in range(20)):
        for scene in drawn:
            words = train_lora.caption(scene, chance).split()
            assert sum(word in scenes.SHAPES for word in words) <= 2
    scene = next(scene for scene in drawn if len(scene.items) == 3)
    empty, plain, bare, full = (train_lora.caption(scene, c) for c in (0.1, 0.2, 0.5, 0.9))
    assert empty == ""
    assert plain == scenes.Scene(scene.items[:2]).caption(("colour", "shape"))
    assert bare.split() == [word for word in plain.split() if word != "a"]
    assert full == scenes.Scene(scene.items[:2]).caption()


def test_three_objects_are_confused_with_other_colours_or_two_of_them() -> None:
    drawn = [train_lora.crowded(generator_of(2, i)) for i in range(60)]
    seen = set()
    for i, scene in enumerate(one for one in drawn if len(one.items) == 3):
        other = train_lora.confused(scene, generator_of(3, i))
        seen.add(len(other.items))
        if len(other.items) == 2:
            assert set(other.items) < set(scene.items)
    assert seen == {2, 3}


def test_a_lora_starts_from_nothing_and_its_file_adds_what_was_learned(tmp_path) -> None:
    model, kept = (diffusers_host.load(device="cpu") for _ in range(2))
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    seen = lambda unet: unet(x, torch.tensor([500]), model.encode(["a circle"])).sample
    with torch.no_grad():
        before = seen(kept.unet)
        added = lora.adapted(model.unet)
        assert torch.equal(seen(model.unet), before)
        for i, layer in enumerate(added.values()):
            generator = torch.Generator().manual_seed(i)
            layer.up.copy_(0.02 * torch.randn(layer.up.shape, generator=generator))
        learned = seen(model.unet)
        file = tmp_path / "lora.safetensors"
        lora.write(added, file)
        again = seen(lora.merged(kept.unet, file))
        assert (learned - before).norm() > 0.02 * before.norm()
        assert (again - learned).norm() < 0.01 * (learned - before).norm()
        assert torch.equal(seen(kept.unet), before)
        fresh = lora.adapted(kept.unet)
        lora.read(fresh, file)
        assert (seen(kept.unet) - again).norm() < 1e-4 * again.norm()


def test_the_lora_of_three_objects_changes_every_layer_it_was_trained_on() -> None:
    state = load_file(diffusers_host.THREE_OBJECTS)
    added = lora.adapted(diffusers_host.load(device="cpu").unet)
    assert {key.partition(".")[0] for key in state} == set(added)
    assert all(torch.count_nonzero(value) for value in state.values())
