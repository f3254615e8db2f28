"""What energies make of attention maps, on maps whose masks, centres and areas are known."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
import torch.nn.functional as F

from guidance_core.attention import maps
from guidance_core.attention.references import Reference
from guidance_core.attention.words import Word, attention_around, attention_to
from guidance_core.captures import Attention
from guidance_core.energies.binding import Binding
from guidance_core.energies.box import Box
from guidance_core.energies.position import Position
from guidance_core.energies.presence import Presence
from guidance_core.energies.shape import Shape
from guidance_core.energies.size import Size
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, levels, seeded

WORDS = Word("red", (0,)), Word("circle", (1,))
REQUEST = Attention((0, 1))
SIZES = (4, 6), (8, 12)
# Rows and columns that each word has, in units of the coarse layer, for each layer.
PLACES = [[(0, 2, 1, 2), (2, 3, 3, 6)], [(1, 2, 0, 3), (0, 4, 4, 5)]]


def binary(layer: int, word: int) -> torch.Tensor:
    """A map that is its own soft mask, nearly square to none of its axes."""
    top, bottom, left, right = (PLACES[layer][word][k] * (layer + 1) for k in range(4))
    values = torch.zeros(SIZES[layer], dtype=DOUBLE)
    values[top:bottom, left:right] = 1
    return values


def layers() -> tuple[torch.Tensor, ...]:
    return tuple(torch.stack([binary(layer, w) for w in (0, 1)])[None] for layer in (0, 1))


def seen(values: tuple[torch.Tensor, ...], request: Attention = REQUEST) -> Estimate:
    return Estimate(values[0], levels(1.0, len(values[0])), captures={request: values})


def area(layer: int, word: int) -> float:
    top, bottom, left, right = PLACES[layer][word]
    return (bottom - top) * (right - left) / 24


def centre(layer: int, word: int) -> tuple[float, float]:
    """x and y; the background of 1e-4 a cell pulls a little to the middle."""
    top, bottom, left, right = PLACES[layer][word]
    inside, all_of_it = area(layer, word), 1e-4
    point = (left + right) / 2 / 6, (top + bottom) / 2 / 4
    return tuple((inside * p + all_of_it * 0.5) / (inside + all_of_it) for p in point)


EVERY = [(layer, word) for layer in (0, 1) for word in (0, 1)]


def test_position_is_the_mean_distance_over_words_and_layers():
    distances = [math.dist(centre(*one), (0.3, 0.9)) for one in EVERY]
    energy = Position(WORDS, (0.3, 0.9))(seen(layers()))
    assert_close(energy, torch.tensor([sum(distances) / 4], dtype=DOUBLE))


def test_position_is_measured_from_each_words_own_place_in_a_reference():
    there = Reference({1.0: {REQUEST: tuple(part.flip(1) for part in layers())}}, (8, 12))
    shift = (0.2, -0.1)
    distances = [
        math.dist(
            centre(layer, word),
            [p + s for p, s in zip(centre(layer, 1 - word), shift, strict=True)],
        )
        for layer, word in EVERY
    ]
    energy = Position(WORDS, reference=there, shift=shift)(seen(layers()))
    assert_close(energy, torch.tensor([sum(distances) / 4], dtype=DOUBLE))


def test_size_is_the_mean_difference_over_words_and_layers():
    gaps = [abs(area(*one) - 0.1) for one in EVERY]
    energy = Size(WORDS, 0.1)(seen(layers()))
    assert_close(energy, torch.tensor([sum(gaps) / 4], dtype=DOUBLE))
    there = Reference({1.0: {REQUEST: tuple(part.flip(1) for part in layers())}}, (8, 12))
    gaps = [abs(area(layer, word) - 1.5 * area(layer, 1 - word)) for layer, word in EVERY]
    energy = Size(WORDS, reference=there, ratio=1.5)(seen(layers()))
    assert_close(energy, torch.tensor([sum(gaps) / 4], dtype=DOUBLE))


@pytest.mark.parametrize("energy", [Position, Size, Shape])
def test_a_reference_asks_for_itself_unless_it_is_told_to_change(energy):
    there = Reference({1.0: {REQUEST: layers()}}, (8, 12))
    assert_close(energy(WORDS, reference=there)(seen(layers())), torch.zeros(1, dtype=DOUBLE))


def test_shape_is_the_mean_difference_over_words_layers_and_pixels():
    there = Reference({1.0: {REQUEST: tuple(part.flip(1) for part in layers())}}, (8, 12))
    gaps = [(binary(layer, 0) - binary(layer, 1)).abs().mean() for layer in (0, 1)]
    energy = Shape(WORDS, reference=there)(seen(layers()))
    assert_close(energy, torch.stack(gaps).mean()[None])


@pytest.mark.parametrize(("shift", "rows", "columns"), [((0.25, 0.0), 0, 2), ((0.0, -0.25), -2, 0)])
def test_an_outline_moves_by_parts_of_width_and_height(shift, rows, columns):
    outline = torch.zeros(8, 8, dtype=DOUBLE)
    outline[3:5, 2:6] = 1
    moved = torch.roll(outline, (rows, columns), (0, 1))
    energy = Shape(WORDS[:1], outline, shift=shift)
    assert_close(energy(seen((moved[None, None],), Attention((0,)))), torch.zeros(1).double())


def test_an_outline_grows_about_its_centre_on_both_axes():
    outline = torch.zeros(12, 16, dtype=DOUBLE)
    larger = torch.zeros(12, 16, dtype=DOUBLE)
    outline[4:6, 6:10] = 1
    larger[3:7, 4:12] = 1
    energy = Shape(WORDS[:1], outline, scale=2.0)
    assert_close(energy(seen((larger[None, None],), Attention((0,)))), torch.zeros(1).double())


def test_a_box_turned_the_other_way_is_its_mirror():
    values = torch.zeros(1, 1, 20, 30, dtype=DOUBLE)
    box = (0.2, 0.35, 0.6, 0.6)
    mirrored = (0.4, 0.35, 0.8, 0.6)
    for angle in (-150.0, -90.0, -35.0, 10.0, 60.0, 120.0, 180.0):
        covered = Box(WORDS[:1], box, angle=angle).covered(values)
        other = Box(WORDS[:1], mirrored, angle=-angle).covered(values)
        assert_close(covered, other.flip(-1))
        assert covered.min() >= 0
        assert covered.max() <= 1 + 1e-12


def test_presence_is_about_the_worst_token():
    shares = torch.full((2, 6, 3, 4), 0.05, dtype=DOUBLE)
    shares[0, 1, 0, 0], shares[0, 2, 0, 3], shares[0, 4, 2, 0] = 0.2, 0.1, 0.15
    shares[1, 1, 0, 0], shares[1, 2, 0, 3], shares[1, 4, 2, 0] = 0.09, 0.3, 0.2
    words = Word("red", (1,)), Word("circles", (2, 4))
    peaks = maps.across_text(shares)[:, [1, 2, 4]].amax((2, 3))
    expected = torch.stack([1 - peaks[0, 1], 1 - peaks[1, 0]])
    assert_close(Presence(words)(seen((shares,), Attention())), expected)


def divergence(p: torch.Tensor, q: torch.Tensor) -> float:
    """Jensen-Shannon in units of ln 2, as entropy of the middle less the mean of the entropies."""
    entropy = lambda r: -sum(x * math.log2(x) for x in r.flatten().tolist() if x > 0)
    p, q = p / p.sum(), q / q.sum()
    return entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2


def test_binding_is_the_mean_divergence_over_pairs_and_layers():
    values = tuple(seeded(1, 5, *size, seed=i).sigmoid() for i, size in enumerate(SIZES))
    words = tuple(Word(f"word {k}", (k,)) for k in range(5))
    totals = []
    for layer in values:
        pull = [divergence(layer[0, i], layer[0, j]) for i, j in combinations(range(3), 2)]
        push = [1 - divergence(layer[0, i], layer[0, j]) for i in range(3) for j in (3, 4)]
        totals.append((sum(pull) / 3, sum(push) / 6))
    estimate = seen(values, Attention(tuple(range(5))))
    both = sum(pull + push for pull, push in totals) / 2
    assert_close(Binding(words[:3], words[3:])(estimate), torch.tensor([both], dtype=DOUBLE))
    alone = seen(tuple(part[:, :3] for part in values), Attention((0, 1, 2)))
    pulled = sum(pull for pull, _ in totals) / 2
    assert_close(Binding(words[:3])(alone), torch.tensor([pulled], dtype=DOUBLE))


def test_binding_to_nowhere_is_finite():
    gone = torch.zeros(1, 2, 3, 3, dtype=DOUBLE)
    gone[:, 0, 0, 0] = gone[:, 1, 2, 2] = 1.0
    leaf = gone.requires_grad_()
    value = Binding(WORDS)(seen((leaf,)))
    (slope,) = torch.autograd.grad(value.sum(), leaf)
    assert_close(value.detach(), torch.ones(1, dtype=DOUBLE))
    assert slope.isfinite().all()


def test_soft_masks_are_the_published_sigmoid_stretched():
    """T(A) = norm(sigmoid(10 (norm(A) - 1/2))), each map alone."""
    heights = [0.0, 0.25, 0.5, 0.6, 1.0, 0.1]
    curve = [1 / (1 + math.exp(-10 * (h - 0.5))) for h in heights]
    expected = [(c - min(curve)) / (max(curve) - min(curve)) for c in curve]
    values = torch.tensor(heights, dtype=DOUBLE).view(1, 1, 2, 3)
    both = torch.cat([0.3 + 0.1 * values, 5 * values], 1)
    wanted = torch.tensor(expected, dtype=DOUBLE).view(1, 1, 2, 3).expand(1, 2, 2, 3)
    assert_close(maps.soft_masks(both), wanted)


def test_a_map_that_hardly_differs_is_flat():
    """Below 1e-4 of its peak a difference is measured by that, not stretched to 1."""
    values = torch.tensor([[0.5, 0.5 + 2e-5]], dtype=DOUBLE)
    stretched = torch.tensor([[0.0, 2e-5 / (1e-4 * (0.5 + 2e-5))]], dtype=DOUBLE)
    torch.testing.assert_close(maps.min_max(values), stretched, rtol=1e-6, atol=0)
    assert torch.equal(maps.min_max(torch.zeros(2, 2)), torch.zeros(2, 2))


def test_the_centre_of_an_empty_mask_is_the_middle():
    assert_close(maps.centroid(torch.zeros(3, 5).double()), torch.tensor([0.5, 0.5]).double())


def test_layers_are_averaged_at_the_finest_size():
    fine, coarse = seeded(1, 2, 4, 6), torch.tensor([0.2, 0.7], dtype=DOUBLE).view(1, 2, 1, 1)
    for order in ((fine, coarse.expand(1, 2, 2, 3)), (coarse.expand(1, 2, 2, 3), fine)):
        assert_close(maps.layer_mean(order), (fine + coarse) / 2)
    ramp = torch.tensor([0.0, 1.0], dtype=DOUBLE).view(1, 1, 1, 2)
    assert_close(
        maps.resized(ramp, (2, 4))[0, 0], torch.tensor([[0, 0.25, 0.75, 1]] * 2, dtype=DOUBLE)
    )


def test_a_words_map_is_the_mean_of_its_tokens_wherever_they_were_asked_for():
    values = seeded(2, 4, 3, 5)
    words = Word("a", (7,)), Word("b", (2, 9))
    some = maps.word_maps((values,), Attention((9, 2, 7, 4)), words)[0]
    assert_close(some, torch.stack([values[:, 2], (values[:, 0] + values[:, 1]) / 2], 1))
    words = Word("a", (3,)), Word("b", (0, 2))
    whole = maps.word_maps((values,), Attention(), words)[0]
    assert_close(whole, torch.stack([values[:, 3], (values[:, 0] + values[:, 2]) / 2], 1))


def test_concept_maps_are_shares_of_the_text_by_cosines():
    image, text = seeded(2, 3, 5, 4), seeded(2, 3, 6, 4, seed=1)
    whole = maps.concept_maps(image, text, tuple(range(6)))
    assert_close(whole.sum(1), torch.ones(2, 5, dtype=DOUBLE))
    wide = [part.transpose(1, 2).flatten(2) for part in (image, text)]
    cosines = F.cosine_similarity(wide[0][:, :, None], wide[1][:, None], dim=3)
    assert_close(whole, (cosines / 0.1).softmax(2).transpose(1, 2))
    assert_close(maps.concept_maps(7 * image, text / 3, (4, 1)), whole[:, [4, 1]])
    each = maps.concept_maps(image, text, (4, 1), "each")
    alone = maps.concept_maps(image[:, 2:], text[:, 2:], (4, 1))
    assert_close(each[:, :, 2], alone)


def test_words_of_one_energy_have_one_kind_of_map():
    red, circle = Word("red", (1,)), Word("circle", (2,), map="concept")
    assert attention_to((circle,)) == Attention((2,), map="concept")
    assert attention_around((circle,)).map == "concept"
    with pytest.raises(ValueError, match="must have the same map, got attention and concept"):
        attention_to((red, circle))
    with pytest.raises(ValueError, match="map must be one of attention, concept, got 'other'"):
        Word("red", (1,), map="other")
    recorded = Reference({1.0: {Attention((1, 2)): (torch.ones(1, 2, 2, 2),)}}, (2, 2))
    with pytest.raises(ValueError, match="holds no concept maps of positions 2"):
        recorded.at(1.0, attention_to((circle,)))
