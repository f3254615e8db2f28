"""Energies of attention and features: the closed forms of each; their laws are those of all."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from guidance_core.attention import maps, weights
from guidance_core.attention.references import Reference
from guidance_core.attention.words import Word
from guidance_core.captures import Attention, Features
from guidance_core.energies.appearance import Appearance
from guidance_core.energies.attention_keep import AttentionKeep
from guidance_core.energies.binding import Binding
from guidance_core.energies.box import Box
from guidance_core.energies.contrast import Contrast
from guidance_core.energies.dominance import Dominance
from guidance_core.energies.feature_keep import FeatureKeep
from guidance_core.energies.position import Position
from guidance_core.energies.presence import Presence
from guidance_core.energies.shape import Shape
from guidance_core.energies.size import Size
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, inside, latent, levels, reference, seeded

RED, CIRCLE, SMALL = Word("red", (2,)), Word("circle", (3, 4)), Word("small", (1,))
WORDS = (RED, CIRCLE)
BOX = (0.1, 0.3, 0.55, 0.8)


OTHER = reference(latent(1, seed=9))
OUTLINE = torch.zeros(10, 12)
OUTLINE[2:6, 1:7] = 1


def value(energy, x: Tensor) -> Tensor:
    captures = {request: inside(request, x) for request in energy.captures}
    return energy(Estimate(x, levels(1.0, x.shape[0]), captures=captures))


def shown(maps: Tensor, request: Attention | None = None) -> Estimate:
    """An estimate whose one layer shows maps (B, K, h, w) of positions 0 to K - 1."""
    request = request or Attention(tuple(range(maps.shape[1])))
    return Estimate(maps, levels(1.0, maps.shape[0]), captures={request: (maps,)})


def square(top: int, left: int, side: int = 2, size: int = 8) -> Tensor:
    maps = torch.full((1, 1, size, size), 0.1, dtype=DOUBLE)
    maps[..., top : top + side, left : left + side] = 0.9
    return maps


ONE = (Word("circle", (0,)),)


def test_position_is_zero_at_its_point_and_the_distance_elsewhere():
    there = Position(ONE, (0.375, 0.625))
    assert float(there(shown(square(4, 2)))) < 1e-3
    away = float(there(shown(square(4, 6))))
    assert away == pytest.approx(0.5, abs=2e-3)
    moved = [float(there(shown(square(4, left)))) for left in (5, 4, 3, 2)]
    assert moved == sorted(moved, reverse=True)


def test_position_follows_a_reference_and_its_shift():
    there = Reference({1.0: {Attention((0,)): (square(1, 1),)}}, (8, 8))
    energy = Position(ONE, reference=there, shift=(0.25, 0.0))
    assert float(energy(shown(square(1, 3)))) < 1e-3
    assert float(energy(shown(square(1, 1)))) == pytest.approx(0.25, abs=2e-3)


def test_size_is_the_area_of_the_soft_mask():
    area = 4 / 64
    assert float(Size(ONE, area)(shown(square(1, 1)))) < 1e-3
    assert float(Size(ONE, 0.5)(shown(square(1, 1)))) == pytest.approx(0.5 - area, abs=1e-3)
    there = Reference({1.0: {Attention((0,)): (square(1, 1),)}}, (8, 8))
    assert float(Size(ONE, reference=there, ratio=4.0)(shown(square(1, 1, 4)))) < 1e-3


def test_shape_is_zero_at_its_outline_moved_and_scaled():
    outline = torch.zeros(16, 16)
    outline[4:8, 4:8] = 1
    assert float(Shape(ONE, outline)(shown(square(2, 2)))) < 1e-3
    assert float(Shape(ONE, outline)(shown(square(2, 3)))) == pytest.approx(4 / 64, abs=1e-3)
    shifted = Shape(ONE, outline, shift=(0.25, -0.125))
    assert float(shifted(shown(square(1, 4)))) < 1e-3
    there = Reference({1.0: {Attention((0,)): (square(3, 3),)}}, (8, 8))
    assert float(Shape(ONE, reference=there, scale=2.0)(shown(square(2, 2, 4)))) < 1e-3


# "red" is the first word here; in the prompt of the source it is the third, of two tokens.
SOURCE = (Word("red", (2, 3)),)
THERE = torch.cat([square(0, 0), square(5, 5), square(1, 3), square(1, 3)], 1)


@pytest.mark.parametrize(
    "kind",
    [
        lambda kept, **words: Position(ONE, reference=kept, **words),
        lambda kept, **words: Size(ONE, reference=kept, ratio=4.0, **words),
        lambda kept, **words: Shape(ONE, reference=kept, **words),
    ],
)
def test_words_of_another_prompt_are_found_where_they_stand_in_it(kind):
    kept = Reference({1.0: {Attention(): (THERE,)}}, (8, 8))
    side = 4 if isinstance(kind(kept), Size) else 2
    here = shown(square(1, 3, side))
    assert float(kind(kept, source=SOURCE)(here)) < 1e-3
    own = Reference({1.0: {Attention((2, 3)): (THERE[:, 2:],)}}, (8, 8))
    assert torch.equal(kind(own, source=SOURCE)(here), kind(kept, source=SOURCE)(here))
    # At the same place stands another word, which is elsewhere.
    assert side == 4 or float(kind(kept)(here)) > 0.05


def test_the_look_of_a_word_of_another_prompt_is_that_inside_its_own_mask():
    there = torch.zeros(1, 1, 8, 8, dtype=DOUBLE)
    there[..., 1:3, 3:5] = 3.0
    recorded = {Attention(): (THERE,), Features(): (there,)}
    kept = Reference({1.0: recorded}, (8, 8))
    here = torch.ones(1, 1, 8, 8, dtype=DOUBLE)
    captures = {Attention((0,)): (square(5, 5),), Features(): (here,)}
    estimate = Estimate(here, levels(1.0, 1), captures=captures)
    assert_close(Appearance(ONE, kept, source=SOURCE)(estimate), torch.tensor([4.0], dtype=DOUBLE))
    assert_close(Appearance(ONE, kept)(estimate), torch.tensor([1.0], dtype=DOUBLE))


def test_with_layout_adds_the_share_of_attention_outside_of_the_outline():
    outline = torch.zeros(8, 8)
    outline[2:4, 2:4] = 1
    far, near = square(5, 5), square(2, 2)
    with_layout = Shape(ONE, outline, measure="with layout")
    for maps_, within in ((far, 4 * 0.1), (near, 4 * 0.9)):
        added = with_layout(shown(maps_)) - Shape(ONE, outline)(shown(maps_))
        assert_close(added, torch.tensor([(1 - within / 9.6) ** 2], dtype=DOUBLE))
    # Brighter inside is better, however far away the object is.
    brighter = far.clone()
    brighter[..., 3, 3] = 0.15
    assert float(with_layout(shown(brighter))) < float(with_layout(shown(far)))


def test_the_last_step_of_a_recording_is_compared_with_at_every_noise_level():
    early, late = square(5, 5), square(1, 3)
    levels_ = {sigma: {Attention((0,)): (part,)} for sigma, part in ((1.0, early), (0.1, late))}
    kept = Reference(levels_, (8, 8))
    for energy in (Position, Shape):
        same = energy(ONE, reference=kept)
        last = energy(ONE, reference=kept, moment="last step")
        assert float(same(shown(early))) < 1e-3 < 0.05 < float(same(shown(late)))
        assert float(last(shown(late))) < 1e-3 < 0.05 < float(last(shown(early)))
    size = Size(
        ONE,
        reference=Reference(
            {1.0: {Attention((0,)): (square(1, 1, 4),)}, 0.1: levels_[0.1]}, (8, 8)
        ),
        moment="last step",
    )
    assert float(size(shown(late))) < 1e-3


def test_published_measures_pair_the_tokens_of_both_prompts():
    kept = Reference({1.0: {Attention(): (THERE,)}}, (8, 8))
    two = (Word("red", (0, 1)),)
    published = Size(two, reference=kept, measure="published", source=SOURCE)
    assert float(published(shown(torch.cat([square(4, 4), square(2, 2)], 1)))) < 1e-3
    with pytest.raises(ValueError, match="as many tokens of the source's prompt as of this one"):
        Size(ONE, reference=kept, measure="published", source=SOURCE)


def test_layout_is_the_squared_share_outside_the_box():
    energy = Box(ONE, (0.25, 0.25, 0.5, 0.5))
    inside, total = 4 * 0.9, 4 * 0.9 + 60 * 0.1
    expected = (1 - inside / total) ** 2
    assert_close(energy(shown(square(2, 2))), torch.tensor([expected], dtype=DOUBLE))
    alone = square(2, 2) - 0.1
    assert_close(energy(shown(alone)), torch.zeros(1, dtype=DOUBLE))
    assert_close(
        Box(ONE, (0, 0, 0.01, 0.01)).covered(alone).sum(), torch.tensor(0.0064, dtype=DOUBLE)
    )


def test_a_turned_box_covers_the_same_area_elsewhere():
    maps = torch.zeros(1, 1, 32, 64, dtype=DOUBLE)
    flat = (0.4, 0.3, 0.6, 0.7)
    turned = lambda angle, box=flat: Box(ONE, box, angle=angle).covered(maps)
    # 12.8 cells each way: a quarter turn is the box itself.
    assert_close(turned(90.0), turned(0.0))
    area = float(turned(0.0).sum())
    assert area == pytest.approx(0.2 * 64 * 0.4 * 32)
    assert float(turned(45.0).sum()) == pytest.approx(area, rel=0.02)
    # A corner stands where a side was.
    half, middle = 6.4 * 2**0.5, 16
    above = math.floor(middle - half + 1)
    assert float(turned(45.0)[above, 32]) > 0.1 > float(turned(0.0)[above, 32])
    # Clockwise: the right end of a long box goes down.
    long = turned(30.0, (0.3, 0.45, 0.7, 0.55))
    assert float(long[16 + 5, 32 + 9]) > 0.9
    assert float(long[16 - 5, 32 + 9]) == 0
    # However thin, never empty.
    assert float(turned(45.0, (0.5, 0.5, 0.501, 0.501)).max()) > 0


def test_an_outline_is_turned_clockwise_whatever_the_shape_of_the_picture():
    outline = torch.zeros(1, 1, 32, 64, dtype=DOUBLE)
    outline[..., 15:17, 24:40] = 1
    moved = lambda angle: Shape(ONE, outline[0, 0], angle=angle)._moved(outline)[0, 0]
    upright = torch.zeros(32, 64, dtype=DOUBLE)
    upright[8:24, 31:33] = 1
    assert_close(moved(90.0), upright)
    assert moved(30.0)[16 + 3, 32 + 5] == 1
    assert moved(30.0)[16 - 3, 32 + 5] == 0
    assert_close(moved(180.0), outline[0, 0])


def context(*maps: Tensor) -> Estimate:
    """A whole context whose first and last places are idle."""
    idle = torch.zeros_like(maps[0])
    return shown(torch.cat([idle, *maps, idle], 1), Attention())


def test_boxdiff_falls_as_the_word_moves_into_its_box():
    rival = torch.full((1, 1, 8, 8), 0.5, dtype=DOUBLE)
    energy = Box((Word("circle", (1,)),), (0.25, 0.25, 0.5, 0.5), "boxdiff")
    values = [float(energy(context(square(2, left), rival))) for left in (6, 4, 2)]
    assert values == sorted(values, reverse=True)
    assert values[2] < 0.8 < 1.6 < values[0]


def test_presence_is_about_the_worst_word():
    flat = torch.full((1, 1, 8, 8), 0.1, dtype=DOUBLE)
    words = Word("cat", (1,)), Word("dog", (2,))
    both = Presence(words)(context(square(1, 1), square(5, 5)))
    one = Presence(words)(context(square(1, 1), flat))
    assert float(both) < float(one)
    assert float(Presence(words[:1])(context(square(1, 1), flat))) < float(one)
    shares = maps.across_text(context(square(1, 1), flat).capture(Attention())[0])
    assert_close(one[0], 1 - shares[0, 2].max())
    assert (shares[:, [0, -1]] == 0).all()


@pytest.mark.parametrize(
    "energy", [Presence, lambda words: Box(words, (0, 0, 0.5, 0.5), "boxdiff")]
)
def test_the_first_word_of_a_prompt_without_a_start_token_is_seen(energy):
    """Slope and value of the first place, which for T5 is a word, are those of a later one."""
    first = torch.cat([square(1, 1), square(5, 5), 0 * square(1, 1)], 1).requires_grad_()
    later = torch.cat([square(5, 5), square(1, 1), 0 * square(1, 1)], 1).requires_grad_()
    values = [
        energy((Word("cat", (place,), start_token=False),))(shown(there, Attention()))
        for place, there in ((0, first), (1, later))
    ]
    slopes = [
        torch.autograd.grad(v.sum(), m)[0] for v, m in zip(values, (first, later), strict=True)
    ]
    assert_close(*values)
    assert_close(slopes[0], slopes[1][:, [1, 0, 2]])
    assert slopes[0].abs().sum() > 0


def test_a_share_of_the_text_is_blurred_with_the_published_kernel():
    """Attend-and-Excite's: exp(-(d / (2 * 0.5))^2) along each axis, sum 1, mirrored at edges."""
    context = seeded(2, 5, 6, 7).sigmoid()
    sharp = (100 * context[:, 1:-1]).softmax(1)
    line = torch.tensor([math.exp(-((d / (2 * 0.5)) ** 2)) for d in (-1, 0, 1)], dtype=DOUBLE)
    kernel = line[:, None] * line / line.sum() ** 2
    padded = F.pad(sharp, (1, 1, 1, 1), mode="reflect")
    expected = F.conv2d(padded, kernel.expand(3, 1, 3, 3), groups=3)
    torch.testing.assert_close(maps.across_text(context)[:, 1:-1], expected, rtol=1e-10, atol=0)


def test_binding_is_zero_together_and_apart_from_others():
    a, b = square(1, 1) - 0.1, square(5, 5) - 0.1
    pair = Word("red", (0,)), Word("circle", (1,))
    zero, one = torch.zeros(1, dtype=DOUBLE), torch.ones(1, dtype=DOUBLE)
    assert_close(Binding(pair)(shown(torch.cat([a, 3 * a], 1))), zero)
    assert_close(Binding(pair)(shown(torch.cat([a, b], 1))), one)
    other = Binding(pair, (Word("blue", (2,)),))
    assert_close(other(shown(torch.cat([a, a, b], 1))), zero)
    assert_close(other(shown(torch.cat([a, a, a], 1))), one)


@pytest.mark.parametrize(
    "energy", [AttentionKeep(OTHER), FeatureKeep(OTHER), Appearance(WORDS, OTHER)]
)
def test_what_was_recorded_is_the_optimum(energy):
    x = latent(1, seed=9)
    assert float(value(energy, x)) < 1e-3 * float(value(energy, latent(1)))


def test_keeping_attention_is_the_published_sum_over_tokens_as_a_mean_over_places():
    x = latent(1)
    parts = [
        (a - b.half().double()).square().sum() / a[0, 0].numel()
        for a, b in zip(inside(Attention(), x), inside(Attention(), latent(1, seed=9)), strict=True)
    ]
    assert_close(value(AttentionKeep(OTHER), x)[0], torch.stack(parts).mean())


def test_appearance_is_the_mean_square_of_the_difference_inside_the_mask():
    request, features = Attention((0,)), Features()
    there = torch.stack([torch.full((8, 8), 2.0), torch.full((8, 8), 4.0)])[None].double()
    kept = Reference({1.0: {request: (square(1, 1),), features: (there,)}}, (8, 8))
    here = torch.full((1, 2, 8, 8), 99.0, dtype=DOUBLE)
    here[:, 0, 5:7, 5:7], here[:, 1, 5:7, 5:7] = 2.5, 3.0
    captures = {request: (square(5, 5),), features: (here,)}
    estimate = Estimate(here, levels(1.0, 1), captures=captures)
    assert_close(Appearance(ONE, kept)(estimate), torch.tensor([1.25 / 2], dtype=DOUBLE))


def test_a_mask_keeps_features_inside_it_only():
    energy = FeatureKeep(OTHER, OUTLINE, ("fine",))
    kept = Reference({1.0: {Features(("fine",)): OTHER.at(1.0, Features())[:1]}}, (5, 6))
    energy = replace(energy, reference=kept)
    part = inside(Features(), latent(1))[0].clone().requires_grad_()
    estimate = Estimate(part, levels(1.0, 1), captures={Features(("fine",)): (part,)})
    (grad,) = torch.autograd.grad(energy(estimate).sum(), part)
    kept_there = F.interpolate(OUTLINE[None, None], (5, 6), mode="area")[0, 0] > 0
    assert (grad[..., ~kept_there] == 0).all()
    assert (grad[..., kept_there] != 0).any()


def test_a_flat_map_has_a_finite_gradient():
    flat = torch.full((1, 1, 4, 4), 0.2, dtype=DOUBLE).requires_grad_()
    for energy in (Position(ONE, (0.2, 0.2)), Size(ONE, 0.5), Box(ONE, BOX)):
        (grad,) = torch.autograd.grad(energy(shown(flat)).sum(), flat)
        assert grad.isfinite().all()


def test_maps_are_the_softmax_of_heads_and_chunks_change_nothing(monkeypatch):
    q, k = seeded(2, 3, 10, 4).requires_grad_(), seeded(2, 3, 7, 4, seed=1).requires_grad_()
    mask = torch.ones(10, 7, dtype=torch.bool).tril(3)

    def both():
        plain = weights.attention_maps(q, k, (1, 5))
        hidden = weights.attention_maps(q, k, (1, 5), mask, 0.3)
        return plain, hidden, *torch.autograd.grad((plain.square() + hidden).sum(), (q, k))

    whole = both()
    looks = (q @ k.mT / 2).softmax(3).mean(1)[..., [1, 5]].mT
    assert_close(whole[0], looks)
    hidden = (0.3 * q @ k.mT).masked_fill(~mask, -math.inf).softmax(3).mean(1)[..., [1, 5]].mT
    assert_close(whole[1], hidden)
    monkeypatch.setattr(weights, "ROOM", 2 * 3 * 7 * 4)
    for once, again in zip(whole, both(), strict=True):
        assert_close(again, once)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Position((), (0.5, 0.5)), "no words were chosen"),
        (lambda: Position(WORDS, (0.5, 1.5)), "must lie in the image"),
        (lambda: Position(WORDS), "a target or a reference, and not both"),
        (lambda: Position(WORDS, (0.1, 0.1), OTHER), "a target or a reference, and not both"),
        (lambda: Position(WORDS, reference=OTHER, shift=(2.0, 0.0)), "shift must be in"),
        (lambda: Size(WORDS, 0.0), "target must be in"),
        (lambda: Size(WORDS, reference=OTHER, ratio=0.0), "ratio must be > 0"),
        (lambda: Size(WORDS), "a target or a reference"),
        (lambda: Shape(WORDS), "an outline or a reference"),
        (lambda: Shape(WORDS, reference=OTHER, source=(RED,)), "one for each, got 1 and 2"),
        (lambda: Position(WORDS, reference=OTHER, source=(RED,)), "one for each, got 1 and 2"),
        (lambda: Size(WORDS, reference=OTHER, moment="now"), "moment must be one of"),
        (lambda: Appearance((RED,), OTHER, source=WORDS), "one for each, got 2 and 1"),
        (lambda: Shape(WORDS, torch.zeros(4, 4)), "the outline is empty"),
        (lambda: Shape(WORDS, OUTLINE, scale=0.0), "a scale > 0"),
        (lambda: Box(WORDS, (0.5, 0.1, 0.5, 0.9)), "the box is empty"),
        (lambda: Box(WORDS, (0.5, 0.1, 1.1, 0.9)), "must lie in the image"),
        (lambda: Box(WORDS, BOX, "iou"), "loss must be one of"),
        (lambda: Box(WORDS, BOX, angle=181.0), "an angle in"),
        (lambda: Shape(WORDS, OUTLINE, angle=float("nan")), "an angle in"),
        (lambda: Binding((RED,)), "at least two words that belong together, got 1"),
        (lambda: Binding(WORDS, (RED,)), "red cannot be both bound and kept apart"),
        (lambda: Presence(()), "no words were chosen"),
        (lambda: Appearance((), OTHER), "no words were chosen"),
        (lambda: FeatureKeep(OTHER, torch.zeros(3, 3)), "the mask is empty"),
    ],
)
def test_bad_arguments_are_refused_at_once(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_reference_of_another_number_of_pictures_is_refused():
    energy = AttentionKeep(reference(latent(2)))
    with pytest.raises(ValueError, match="the reference has 2 images, the latent batch 3"):
        value(energy, latent(3))


def owning(*owned: Tensor) -> tuple[Estimate, Tensor]:
    """An estimate whose words at 1, 2, ... attend as these maps (h, w); and their shares (W, N)."""
    words = torch.stack(owned).to(DOUBLE)
    rest = torch.zeros_like(words[:1])
    every = torch.cat([rest, words, rest])[None]
    shares = maps.across_text(every)[0, 1:-1]
    return shown(every, Attention(())), shares.flatten(1)


def flat(height: float, peak: float = 0.0, place: tuple[int, int] = (0, 0)) -> Tensor:
    one = torch.full((5, 6), height)
    one[place] = peak or height
    return one


PAIR = (Word("red", (1,)), Word("circle", (2,)))


def test_dominance_is_what_another_word_owns_where_the_missing_one_is_strongest():
    strong, weak = flat(0.01, 0.06, (1, 1)), flat(0.005, 0.02, (1, 2))
    estimate, shares = owning(strong, weak)
    place = int(shares[1].argmax())
    wanted = (1 - shares[1, place]) * shares[0, place]
    assert shares[1].max() < shares[0].max()
    assert_close(Dominance(PAIR)(estimate), wanted[None])
    # The same whichever of the words is named first, and of three words the most dominant counts.
    assert_close(Dominance(PAIR[::-1])(estimate), wanted[None])
    third = flat(0.005, 0.09, (1, 2))
    estimate, shares = owning(strong, weak, third)
    place = int(shares[1].argmax())
    wanted = (1 - shares[1, place]) * torch.maximum(shares[0, place], shares[2, place])
    assert_close(Dominance((*PAIR, Word("blue", (3,))))(estimate), wanted[None])


def test_dominance_falls_where_the_dominant_word_leaves_the_place_and_is_0_where_none_is_missing():
    weak = flat(0.0, 0.02, (3, 3))
    on, off = (owning(flat(0.0, 0.1, place), weak)[0] for place in ((3, 3), (0, 0)))
    assert float(Dominance(PAIR)(off)) < 0.6 * float(Dominance(PAIR)(on))
    both, _ = owning(flat(0.0, 3.0, (0, 0)), flat(0.0, 3.0, (4, 4)))
    wide = torch.zeros(5, 6)
    wide[3:, 3:] = 3.0
    other = torch.zeros(5, 6)
    other[:2, :3] = 3.0
    assert float(Dominance(PAIR)(owning(other, wide)[0])) < 1e-6
    assert float(Dominance(PAIR)(both)) < 0.3


def test_a_word_of_several_tokens_owns_what_they_own_together():
    parts = [flat(0.01, peak, (1, 1)) for peak in (0.03, 0.05, 0.02)]
    estimate, shares = owning(*parts)
    whole = shares[0] + shares[1]
    place = int(shares[2].argmax())
    wanted = (1 - shares[2, place]) * whole[place]
    pair = (Word("red circle", (1, 2)), Word("blue", (3,)))
    assert_close(Dominance(pair)(estimate), wanted[None])


def test_contrast_is_infonce_of_cosines():
    pictures = [flat(0.01, peak, place) for peak, place in ((0.05, (1, 1)), (0.03, (1, 2)))]
    pictures.append(flat(0.01, 0.06, (4, 4)))
    estimate, shares = owning(*pictures)
    s = F.cosine_similarity(shares[:, None], shares[None], dim=2) / 0.5
    e = s.exp()
    pulled = [-(e[0, 1] / (e[0, 1] + e[0, 2])).log(), -(e[1, 0] / (e[1, 0] + e[1, 2])).log()]
    alone = -(e[2, 2] / (e[2, 2] + e[2, 0] + e[2, 1])).log()
    wanted = torch.stack([*pulled, alone]).mean()
    energy = Contrast((PAIR, (Word("blue", (3,)),)))
    assert_close(energy(estimate), wanted[None])


def test_contrast_falls_where_groups_part_and_words_of_one_meet():
    blue, square = Word("blue", (3,)), Word("square", (4,))
    energy = Contrast((PAIR, (blue, square)))
    corner = lambda place: flat(0.0, 0.1, place)
    bound = owning(*map(corner, ((0, 0), (0, 0), (4, 5), (4, 5))))[0]
    crossed = owning(*map(corner, ((0, 0), (4, 5), (4, 5), (0, 0))))[0]
    mixed = owning(*map(corner, ((2, 2), (2, 2), (2, 2), (2, 2))))[0]
    assert float(energy(bound)) < float(energy(mixed)) < float(energy(crossed))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Dominance((RED,)), "at least two words"),
        (lambda: Contrast((WORDS,)), "at least two groups"),
        (lambda: Contrast((WORDS, ())), "no words"),
        (lambda: Contrast((WORDS, (RED,))), "groups 1 and 2 share a word"),
        (lambda: Contrast((WORDS, (SMALL,)), temperature=0.0), "temperature must be > 0"),
    ],
)
def test_words_that_cannot_be_told_apart_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
