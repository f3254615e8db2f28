"""Energies of guide networks whose answers are the image itself: closed forms, sample by sample."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from guidance_core.energies.clip_image import ClipImage
from guidance_core.energies.color import MeanColor
from guidance_core.energies.image import ReferenceImage
from guidance_core.energies.label_area import LabelArea
from guidance_core.energies.segmentation import Segmentation
from guidance_core.energies.smoothed import Smoothed
from guidance_core.energies.structure import Structure
from guidance_core.energies.style import Style
from guidance_core.networks.protocols import ViTTokens
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, TinyViT, assert_close, levels, seeded


def shown(image: torch.Tensor) -> Estimate:
    return Estimate(image, levels(1.0, len(image)), lambda x0: x0)


def pixels(batch: int, height: int, width: int, seed: int = 1) -> torch.Tensor:
    return seeded(batch, 3, height, width, seed=seed).sigmoid()


class Plain(torch.nn.Module):
    """Features, labels of pixels and an embedding that are the image's own values."""

    name, input_size, pixel_labels = "plain", 8, ("red", "green", "blue")

    def blocks(self, image):
        return [image, image[:, :2].square(), image.sqrt()]

    def forward(self, image):
        return 4 * image

    def encode_image(self, image):
        return F.normalize(image.mean((2, 3)), dim=1)


def gram(features: torch.Tensor) -> torch.Tensor:
    """Mean over places of f f^T, place by place."""
    places = features.flatten(2).unbind(2)
    return sum(f[:, :, None] * f[:, None] for f in places) / len(places)


def test_style_is_the_mean_over_layers_of_relative_gaps_between_grams():
    image, there = pixels(2, 4, 6), pixels(1, 3, 3, seed=2)
    parts = []
    for layer in (0, 2, 1):
        near, far = gram(Plain().blocks(image)[layer]), gram(Plain().blocks(there)[layer])
        parts.append((near - far).square().sum((1, 2)) / far.square().sum())
    assert_close(Style(Plain(), there, (0, -1, 1))(shown(image)), torch.stack(parts).mean(0))


def test_style_does_not_know_how_large_its_reference_is():
    image = pixels(1, 4, 6)
    tiled = image.repeat(1, 1, 3, 2)
    assert_close(Style(Plain(), tiled, (0, 1))(shown(image)), torch.zeros(1, dtype=DOUBLE))


def test_the_published_norm_of_a_style_is_frobenius_over_sums_of_places():
    """FreeDoM: |G - G*| of G = f f^T over all tokens f, not over their number; TFG's over 100."""
    image, there = seeded(2, 3, 8, 8, seed=1).sigmoid(), seeded(1, 3, 8, 8, seed=2).sigmoid()
    gram = lambda values: torch.einsum("bchw,bdhw->bcd", values, values)
    parts = [
        (gram(mine) - gram(other)).flatten(1).norm(dim=1)
        for mine, other in zip(Plain().blocks(image), Plain().blocks(there), strict=True)
    ]
    norm = Style(Plain(), there, (1,)).squared_norm(shown(image)).sqrt()
    assert_close(norm, parts[1])


def test_a_network_beside_a_distance_of_pixels_is_not_asked():
    image, there = pixels(2, 4, 6), pixels(1, 4, 6, seed=2)
    energy = ReferenceImage(there, "l2", Plain())(shown(image))
    assert_close(energy, (image - there).square().mean((1, 2, 3)))


def test_a_label_is_asked_by_the_weight_of_each_pixel_inside_and_outside():
    image, area = pixels(2, 4, 6), seeded(2, 4, 6, seed=3).sigmoid()
    p = (4 * image).softmax(1)[:, 1]
    inside = (area * -p.log()).sum((1, 2)) / area.sum((1, 2))
    outside = ((1 - area) * -(1 - p).log()).sum((1, 2)) / (1 - area).sum((1, 2))
    assert_close(LabelArea(Plain(), "green", area)(shown(image)), inside + outside)
    assert_close(LabelArea(Plain(), "green", area, "ignored")(shown(image)), inside)


def test_a_label_everywhere_has_no_outside():
    image = pixels(2, 4, 6)
    p = (4 * image).softmax(1)[:, 0]
    energy = LabelArea(Plain(), "red", torch.ones(4, 6))
    assert_close(energy(shown(image)), -p.log().mean((1, 2)))


def test_each_class_map_is_a_mean_over_the_pixels_that_it_knows():
    image = pixels(2, 4, 6)
    classes = torch.full((2, 8, 12), 255)
    classes[0, :, :6], classes[1, 4:6, 8:10] = 2, 0
    logs = (4 * image).log_softmax(1)
    expected = torch.stack([-logs[0, 2, :, :3].mean(), -logs[1, 0, 2, 4]])
    assert_close(Segmentation(Plain(), classes)(shown(image)), expected)


def test_a_class_map_that_knows_no_pixel_of_a_sample_asks_nothing_of_it():
    classes = torch.full((2, 4, 6), 255)
    classes[1] = 1
    energy = Segmentation(Plain(), classes)(shown(pixels(2, 4, 6)))
    assert energy[0] == 0
    assert energy[1] > 0


def test_a_reference_without_style_is_met_by_an_image_without_style():
    black = torch.zeros(1, 3, 4, 6, dtype=DOUBLE)
    assert_close(Style(Plain(), black, (0,))(shown(black)), torch.zeros(1, dtype=DOUBLE))


def test_several_references_of_clip_stand_for_their_mean_direction():
    image, there = pixels(2, 4, 6), pixels(3, 5, 5, seed=2)
    target = Plain().encode_image(there).mean(0)
    cosine = F.cosine_similarity(Plain().encode_image(image), target[None])
    assert_close(ClipImage(Plain(), there, "cosine", cutouts=0)(shown(image)), 1 - cosine)
    spherical = ClipImage(Plain(), there, cutouts=0)(shown(image))
    assert_close(spherical, cosine.arccos().square() / 2)


def test_views_of_clip_count_alike():
    seen = []

    class Watching(Plain):
        def encode_image(self, image):
            seen.append(super().encode_image(image))
            return seen[-1]

    image, there = pixels(2, 16, 20), pixels(1, 5, 5, seed=2)
    energy = ClipImage(Watching(), there, "cosine", cutouts=3, augment=False)(shown(image))
    target = Plain().encode_image(there)
    views = [view for view in seen if len(view) == 2]
    assert len(views) == 4
    expected = [1 - F.cosine_similarity(view, target) for view in views]
    assert_close(energy, torch.stack(expected).mean(0))


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_contrast_is_a_mean_over_patches_at_its_temperature(temperature):
    image, there = pixels(2, 6, 6), pixels(1, 6, 6, seed=2)
    keys, target = (F.normalize(TinyViT().tokens(part).keys, dim=2) for part in (image, there))
    energy = Structure(TinyViT(), there, "contrast", temperature)(shown(image))
    for k in range(2):
        losses = []
        for i in range(9):
            scores = [float(keys[k, i] @ target[0, i]) / temperature]
            scores += [float(keys[k, i] @ target[0, j]) / temperature for j in range(9) if j != i]
            losses.append(math.log(sum(map(math.exp, scores))) - scores[0])
        assert float(energy[k]) == pytest.approx(sum(losses) / 9)


def test_self_similarity_does_not_know_how_long_keys_are():
    class Louder(TinyViT):
        def tokens(self, image):
            seen = super().tokens(image)
            return ViTTokens(seen.keys * (2 + seen.keys[..., :1]), seen.pooled)

    image, there = pixels(2, 6, 6), pixels(1, 6, 6, seed=2)
    quiet = Structure(TinyViT(), there, "self-similarity")(shown(image))
    assert_close(Structure(Louder(), there, "self-similarity")(shown(image)), quiet)


def test_a_colour_counts_the_share_of_a_mask_of_parts():
    """Half of the weight 1 + 0.5 + 0.5 is all of the nearest pixel, whatever lies elsewhere."""
    image = torch.tensor([0.9, 0.5, 0.1, 1.0], dtype=DOUBLE).expand(1, 3, 1, 4)
    mask = torch.tensor([[0.5, 1.0, 0.5, 0.0]])
    for share, mean in ((0.25, 0.9), (0.5, 0.7), (0.75, 0.9 / 3 + 0.5 * 2 / 3), (1.0, 0.5)):
        energy = MeanColor(torch.ones(3), share, mask)(shown(image))
        assert_close(energy, torch.tensor([3 * (1 - mean) ** 2], dtype=DOUBLE))


def test_smoothing_of_an_energy_is_a_mean_of_likelihoods_over_its_draws():
    values = iter(torch.tensor([[0.0, 1.0], [3.0, 1.0], [700.0, 2000.0]], dtype=DOUBLE))
    energy = Smoothed(lambda estimate: next(values), gamma=0.5, samples=3)
    total = math.exp(0) + math.exp(-3), 2 * math.exp(-1)
    expected = [-math.log(part / 3) for part in total]
    assert_close(energy(shown(pixels(2, 4, 4))), torch.tensor(expected, dtype=DOUBLE))
