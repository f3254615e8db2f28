"""Losses of attention as their authors wrote them, in float64 on random maps, to 1e-10.

Each author's formula is written out here from the paper or the released code, head by head and
token by token, for one sample; the energies see the same maps.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from guidance_core.attention.references import Reference
from guidance_core.attention.words import Word
from guidance_core.captures import Attention, Features
from guidance_core.energies.appearance import Appearance
from guidance_core.energies.attention_keep import AttentionKeep
from guidance_core.energies.box import Box
from guidance_core.energies.position import Position
from guidance_core.energies.shape import Shape
from guidance_core.energies.size import Size
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, levels, seeded

WORDS = (Word("red", (1,)), Word("circle", (3, 4)))
TOKENS = (1, 3, 4)
SIZES = ((8, 10), (4, 5))
HEADS = 3
EACH = Attention(TOKENS, heads="each")
MEAN = Attention(TOKENS)


def by_head(seed: int, batch: int = 2, tokens: int = 3) -> tuple[Tensor, ...]:
    """Attention (B, K, heads, h, w) of each layer, in (0, 1)."""
    return tuple(
        seeded(batch, tokens, HEADS, *size, seed=seed + i).sub(2).sigmoid()
        for i, size in enumerate(SIZES)
    )


def tokens_of(seed: int) -> tuple[Tensor, ...]:
    """The same, averaged over heads and rounded to what a reference can hold."""
    return tuple(part.mean(2).half().double() for part in by_head(seed))


def shown(**captures) -> Estimate:
    known = {"each": EACH, "mean": MEAN, "features": Features()}
    values = {known[name]: value for name, value in captures.items()}
    first = next(iter(values.values()))[0]
    return Estimate(first, levels(1.0, len(first)), captures=values)


def recorded(**captures) -> Reference:
    return Reference({1.0: shown(**captures).captures}, SIZES[0])


def agree(energy: Tensor, expected: list[float]) -> None:
    truth = torch.tensor(expected, dtype=DOUBLE)
    torch.testing.assert_close(energy, truth, rtol=1e-10, atol=1e-14)


def test_layout_guidance_is_a_loss_of_each_head_and_token():
    """Chen et al.: mean over layers, tokens and heads of (1 - inside / all)^2."""
    layers, box = by_head(1), (0.2, 0.25, 0.8, 0.75)
    expected = []
    for sample in range(2):
        loss = 0.0
        for maps, (height, width) in zip(layers, SIZES, strict=True):
            rows = slice(int(0.25 * height), int(0.75 * height))
            columns = slice(int(0.2 * width), int(0.8 * width))
            of_tokens = 0.0
            for token in range(3):
                attention = maps[sample, token]
                inside = attention[:, rows, columns].reshape(HEADS, -1).sum(1)
                share = inside / attention.reshape(HEADS, -1).sum(1)
                of_tokens += ((1 - share) ** 2).mean().item()
            loss += of_tokens / 3
        expected.append(loss / 2)
    energy = Box(WORDS, box, heads="each")
    assert energy.captures == {EACH}
    agree(energy(shown(each=layers)), expected)


def test_pix2pix_zero_is_a_difference_of_each_head():
    """Parmar et al.: of each layer, the mean over heads of the sum over places and tokens."""
    now = by_head(3)
    there = tuple(part.half().double() for part in by_head(5))
    expected = [
        sum(
            ((a[sample] - b[sample]) ** 2).sum((0, 2, 3)).mean(0).item() / (height * width)
            for a, b, (height, width) in zip(now, there, SIZES, strict=True)
        )
        / 2
        for sample in range(2)
    ]
    energy = AttentionKeep(recorded(each=there), WORDS, heads="each")
    assert energy.captures == {EACH}
    agree(energy(shown(each=now)), expected)


def test_heads_that_look_elsewhere_count_only_where_each_does():
    """Two heads that trade places keep their mean."""
    there = by_head(7, tokens=3)
    swapped = tuple(part[:, :, [1, 0, 2]] for part in there)
    reference = recorded(each=tuple(part.half() for part in there))
    each = AttentionKeep(reference, WORDS, heads="each")(shown(each=swapped))
    mean = AttentionKeep(reference, WORDS)(shown(mean=tuple(p.mean(2) for p in swapped)))
    assert (each > 1e-3).all()
    assert (mean < 1e-6).all()


def stretched(attention: Tensor) -> Tensor:
    return (attention - attention.min()) / (attention.max() - attention.min() + 1e-4)


def thresholded(attention: Tensor) -> Tensor:
    """Self-Guidance's soft threshold of one token's map (h, w)."""
    return stretched(1 / (1 + (-10 * (stretched(attention) - 0.5)).exp()))


def centre(attention: Tensor) -> tuple[float, float]:
    """Its centroid of one token's map (h, w), bare."""
    height, width = attention.shape
    total_x, total_y = [0.0, 0.0], [0.0, 0.0]
    for i in range(height):
        for j in range(width):
            a = attention[i, j].item()
            total_x = [total_x[0] + a * j / (width - 1), total_x[1] + a]
            total_y = [total_y[0] + a * i / (height - 1), total_y[1] + a]
    return total_x[0] / (total_x[1] + 1e-4), total_y[0] / (total_y[1] + 1e-4)


def mean(loss) -> list[float]:
    """The mean over layers and tokens of loss(layer, sample, token), for two samples."""
    pairs = [(layer, token) for layer in range(2) for token in range(3)]
    return [sum(loss(layer, i, token) for layer, token in pairs) / 6 for i in range(2)]


NOW, THERE = tokens_of(11), tokens_of(13)


def test_self_guidances_position():
    """|centroid - target|, bare attention, by x and y."""

    def loss(layer, sample, token, target=(0.3, 0.7)):
        x, y = centre(NOW[layer][sample, token])
        return (abs(x - target[0]) + abs(y - target[1])) / 2

    agree(Position(WORDS, (0.3, 0.7), measure="published")(shown(mean=NOW)), mean(loss))

    def kept(layer, sample, token):
        x, y = centre(THERE[layer][sample, token])
        return loss(layer, sample, token, (x + 0.25, y - 0.125))

    energy = Position(WORDS, None, recorded(mean=THERE), (0.25, -0.125), measure="published")
    agree(energy(shown(mean=NOW)), mean(kept))


def test_self_guidances_size():
    area = lambda maps: thresholded(maps).mean().item()
    absolute = lambda layer, i, token: abs(area(NOW[layer][i, token]) - 0.2)
    agree(Size(WORDS, 0.2, measure="published")(shown(mean=NOW)), mean(absolute))
    kept = lambda layer, i, token: abs(
        area(NOW[layer][i, token]) - 1.5 * area(THERE[layer][i, token])
    )
    energy = Size(WORDS, None, recorded(mean=THERE), 1.5, measure="published")
    agree(energy(shown(mean=NOW)), mean(kept))


def test_self_guidances_shape():
    """Soft threshold against the reference's hard one, mean absolute difference."""

    def loss(layer, sample, token):
        outline = (stretched(THERE[layer][sample, token]) > 0.5).double()
        return (thresholded(NOW[layer][sample, token]) - outline).abs().mean().item()

    energy = Shape(WORDS, None, recorded(mean=THERE), measure="published")
    agree(energy(shown(mean=NOW)), mean(loss))


def test_self_guidances_appearance():
    """Mean activations inside hard masks, resized to them, mean absolute difference."""
    now, there = (seeded(2, 5, 16, 20, seed=s).half().double() for s in (17, 19))
    maps = {"now": NOW[:1], "there": THERE[:1]}

    def look(features, attention):
        hard = (stretched(attention) > 0.5).double()[None, None]
        mask = F.interpolate(hard, (16, 20), mode="bilinear", align_corners=False)[0, 0]
        return (mask * features).sum((1, 2)) / (mask.sum() + 1e-4)

    def loss(sample, token):
        ours = look(now[sample], maps["now"][0][sample, token])
        theirs = look(there[sample], maps["there"][0][sample, token])
        return (ours - theirs).abs().mean().item()

    expected = [sum(loss(sample, token) for token in range(3)) / 3 for sample in range(2)]
    reference = recorded(mean=maps["there"], features=(there,))
    energy = Appearance(WORDS, reference, measure="published")
    agree(energy(shown(mean=maps["now"], features=(now,))), expected)


@pytest.mark.parametrize("measure", ["adapted", "published"])
def test_only_the_published_measures_take_tokens_one_by_one(measure):
    """For a word of two tokens the mean of two areas is not the area of their mean."""
    word = (Word("circle", (1, 3, 4)),)
    energy = Size(word, 0.2, measure=measure)(shown(mean=NOW))
    split = Size(tuple(Word("", (p,)) for p in TOKENS), 0.2, measure=measure)(shown(mean=NOW))
    assert torch.equal(energy, split) == (measure == "published")


def test_unknown_choices_are_refused():
    box = Box(WORDS, (0, 0, 1, 1))
    for make in (
        lambda: replace(box, heads="all"),
        lambda: AttentionKeep(recorded(mean=THERE), heads="all"),
        lambda: Attention(TOKENS, heads="all"),
    ):
        with pytest.raises(ValueError, match="heads must be one of mean, each, got 'all'"):
            make()
    for make in (
        lambda: Position(WORDS, (0, 0), measure="theirs"),
        lambda: Size(WORDS, 0.5, measure="theirs"),
        lambda: Shape(WORDS, torch.ones(4, 4), measure="theirs"),
        lambda: Appearance(WORDS, recorded(mean=THERE), measure="theirs"),
    ):
        with pytest.raises(ValueError, match="measure must be one of adapted, published"):
            make()


def test_heads_are_recorded_each_and_read_as_their_mean_too():
    values = tuple(part.half() for part in by_head(23, tokens=3))
    reference = recorded(each=values)
    for request, positions in ((Attention((3,)), [1]), (Attention((4, 1)), [2, 0])):
        for read, value in zip(reference.at(1.0, request), values, strict=True):
            torch.testing.assert_close(read, value[:, positions].mean(2))
        each = reference.at(1.0, replace(request, heads="each"))
        for read, value in zip(each, values, strict=True):
            assert torch.equal(read, value[:, positions])
    whole = Reference({1.0: {Attention(heads="each"): values}}, SIZES[0])
    torch.testing.assert_close(whole.at(1.0, Attention())[0], values[0].mean(2))
    with pytest.raises(ValueError, match="by head: record it with the same"):
        recorded(mean=THERE).at(1.0, EACH)
    assert math.isclose(reference.nbytes, 2 * sum(value.numel() for value in values))
