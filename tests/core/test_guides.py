"""Energies of guide networks and reference pictures: closed forms, shared looks, bad input."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from guidance_core.compose import guided
from guidance_core.energies.aesthetic import Aesthetic
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.clip_image import ClipImage
from guidance_core.energies.clip_text import ClipText
from guidance_core.energies.color_histogram import ColorHistogram
from guidance_core.energies.detection import Detection
from guidance_core.energies.face_identity import FaceIdentity
from guidance_core.energies.image import ReferenceImage
from guidance_core.energies.label_area import LabelArea
from guidance_core.energies.masked import Masked
from guidance_core.energies.palette import Palette
from guidance_core.energies.segmentation import Segmentation
from guidance_core.energies.semblance import Semblance
from guidance_core.energies.smoothness import Smoothness
from guidance_core.energies.structure import Structure
from guidance_core.energies.style import Style
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.gradients import at_estimate
from guidance_core.rules.backward import Backward
from guidance_core.schedules import Constant
from guidance_core.types import Estimate
from tests.core.toys import (
    DOUBLE,
    Model,
    TinyClassifier,
    TinyClip,
    TinyDetector,
    TinyFace,
    TinyFeatures,
    TinyPredictor,
    TinySegmenter,
    TinyViT,
    assert_close,
    decode,
    latent,
    levels,
    run_with,
    seeded,
)

CLIP, FEATURES = TinyClip(), TinyFeatures()
PICTURE = seeded(1, 3, 15, 18, seed=8).sigmoid()
SEGMENTER, DETECTOR, WIDE = TinySegmenter(), TinyDetector(), TinyPredictor()
WIDE.width = 9
AREA = torch.ones(6, 6)
BOX = torch.tensor([[0.0, 0.2, 0.6, 0.8]])
ZERO = torch.zeros(1, dtype=DOUBLE)


def shown(image: Tensor) -> Estimate:
    """An estimate whose latent is the picture itself."""
    return Estimate(image, levels(1.0, image.shape[0]), lambda x0: x0)


def flat(*rgb: float, size: int = 16) -> Tensor:
    return torch.tensor(rgb, dtype=DOUBLE).view(1, 3, 1, 1).expand(1, 3, size, size).clone()


@pytest.mark.parametrize(
    "energy",
    [
        ReferenceImage(PICTURE, "l1"),
        ReferenceImage(PICTURE, "l2"),
        ReferenceImage(PICTURE, "features", FEATURES),
        ClipImage(CLIP, PICTURE, cutouts=0),
        ClipImage(CLIP, PICTURE, "cosine", cutouts=0),
        Style(FEATURES, PICTURE, (0, 1)),
        ColorHistogram(PICTURE),
        Structure(TinyViT(), PICTURE, "self-similarity"),
        Semblance(TinyViT(), PICTURE),
        FaceIdentity(TinyFace(), PICTURE),
        FaceIdentity(TinyFace(), PICTURE, "l1", TinyDetector(), threshold=0.0),
    ],
)
def test_a_reference_is_met_by_itself(energy):
    value, slope = at_estimate(energy, shown(PICTURE))
    assert (value.abs() < 1e-12).all()
    assert (slope.abs() < 1e-6).all()


def test_image_distances_are_known():
    image = shown(flat(0.25, 0.5, 1.0))
    black = torch.zeros(1, 3, 4, 4, dtype=DOUBLE)
    assert_close(ReferenceImage(black, "l1")(image), ZERO + (0.25 + 0.5 + 1) / 3)
    assert_close(ReferenceImage(black, "l2")(image), ZERO + (0.0625 + 0.25 + 1) / 3)


def test_features_compare_directions_layer_by_layer():
    value = ReferenceImage(PICTURE, "features", FEATURES)(shown(1 - PICTURE))
    expected = [
        2 - 2 * torch.cosine_similarity(a, b, dim=1).flatten(1).mean(1)
        for a, b in zip(FEATURES.blocks(PICTURE), FEATURES.blocks(1 - PICTURE), strict=True)
    ]
    assert_close(value, torch.stack(expected).mean(0))


def test_each_sample_may_have_its_own_reference():
    both = torch.cat([PICTURE, 1 - PICTURE])
    for energy in (ReferenceImage(both), Style(FEATURES, both, (0,)), ColorHistogram(both)):
        assert (energy(shown(both)) < 1e-12).all()
        assert (energy(shown(both.flip(0))) > 1e-4).all()


def test_style_does_not_know_where():
    turned = PICTURE.flip(3)
    assert (Style(FEATURES, PICTURE, (0, 1))(shown(turned)) < 1e-12).all()
    assert (ReferenceImage(PICTURE, "features", FEATURES)(shown(turned)) > 1e-4).all()


def test_style_is_one_for_a_picture_without_features():
    class Nothing(TinyFeatures):
        def blocks(self, image):
            return [image.pow(2)]

    assert_close(Style(Nothing(), PICTURE, (0,))(shown(0 * PICTURE)), ZERO + 1)


def test_palette_takes_the_nearest_colour():
    energy = Palette(torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    half = flat(1, 0, 0)
    half[..., 8:] = flat(0, 0, 1)[..., 8:]
    assert_close(energy(shown(half)), ZERO)
    assert_close(energy(shown(flat(0.5, 0.0, 0.0))), ZERO + 0.25)


def test_histogram_does_not_know_where_but_how_much():
    energy = ColorHistogram(PICTURE)
    assert (energy(shown(PICTURE.flip(2))) < 1e-12).all()
    shifted = energy(shown(PICTURE + torch.tensor([0.3, 0.0, 0.0], dtype=DOUBLE).view(1, 3, 1, 1)))
    # 13 unit directions; those along red see all of the shift, diagonals a half or a third.
    expected = 0.09 * (1 + 4 / 2 + 4 / 3) / 13
    assert_close(shifted, ZERO + expected)


def test_smoothness_counts_steps():
    edge = flat(0, 0, 0)
    edge[..., 8:] = 0.5
    for keep, size in ((True, 0.5), (False, 0.25)):
        assert_close(Smoothness(keep)(shown(edge)), ZERO + size / 16)
        assert_close(Smoothness(keep)(shown(flat(0.2, 0.4, 0.6))), ZERO)


def test_segmentation_is_the_mean_cross_entropy_of_what_is_not_ignored():
    network, image = TinySegmenter(), shown(PICTURE[..., :14, :])
    classes = torch.full((7, 9), 255)
    classes[:2, :3], classes[4:, 5:] = 1, 2
    logs = network(image.image).log_softmax(1)[0]
    expected = -torch.cat([logs[1, :2, :3].flatten(), logs[2, 4:, 5:].flatten()]).mean()
    assert_close(Segmentation(network, classes)(image), expected[None])


def test_a_picture_stands_for_its_own_segmentation():
    network = TinySegmenter()
    other = shown(seeded(1, 3, 15, 18, seed=20).sigmoid())
    own = Segmentation(network, network(PICTURE).argmax(1))
    assert_close(Segmentation(network, PICTURE)(other), own(other))


def test_a_label_belongs_inside_its_area_and_nowhere_else():
    network, image = TinySegmenter(), shown(PICTURE[..., :14, :])
    area = torch.zeros(7, 9)
    area[:, :4] = 1
    p = network(image.image).softmax(1)[0, 1]
    inside, outside = -p[:, :4].log().mean(), -(1 - p[:, 4:]).log().mean()
    assert_close(LabelArea(network, "circle", area)(image), (inside + outside)[None])
    assert_close(LabelArea(network, "circle", area, "ignored")(image), inside[None])


def test_structure_ignores_a_turn_of_all_keys_and_contrast_knows_its_formula():
    class Turned(TinyViT):
        def tokens(self, image):
            seen = super().tokens(image)
            return seen._replace(keys=seen.keys.flip(2) * -1)

    keys = torch.nn.functional.normalize(TinyViT().tokens(1 - PICTURE).keys[0], dim=1)
    target = torch.nn.functional.normalize(TinyViT().tokens(PICTURE).keys[0], dim=1)
    expected = (keys @ keys.T - target @ target.T).square().mean()
    for network in (TinyViT(), Turned()):
        energy = Structure(network, PICTURE, "self-similarity")
        assert_close(energy(shown(1 - PICTURE)), expected[None])
    rows = []
    for i in range(9):
        scores = [keys[i] @ target[i], *(keys[i] @ target[j] for j in range(9) if j != i)]
        rows.append(-(torch.stack(scores) / 0.07).log_softmax(0)[0])
    value = Structure(TinyViT(), PICTURE, "contrast")(shown(1 - PICTURE))
    assert_close(value, torch.stack(rows).mean()[None])


def test_semblance_is_measured_by_the_reference():
    class Double(TinyViT):
        def tokens(self, image):
            seen = super().tokens(image)
            return seen._replace(pooled=2 * seen.pooled)

    near, far = TinyViT().tokens(1 - PICTURE).pooled, TinyViT().tokens(PICTURE).pooled
    expected = (near - far).square().sum(1) / far.square().sum(1)
    for network in (TinyViT(), Double()):
        assert_close(Semblance(network, PICTURE)(shown(1 - PICTURE)), expected)


def test_boxes_are_parts_of_the_picture_and_draws_follow_seed_and_level():
    class Watching(TinyDetector):
        def losses(self, image, boxes, labels):
            seen.append((boxes.tolist(), labels.tolist()))
            return super().losses(image, boxes, labels)

    seen = []
    boxes = torch.tensor([[0.0, 0.2, 0.5, 1.0], [0.5, 0.0, 1.0, 0.4]])
    energy = Detection(Watching(), boxes, ("cat", "person"))
    first = energy(shown(PICTURE))
    assert seen[0][1] == [2, 1]
    assert_close(torch.tensor(seen[0][0]), torch.tensor([[0.0, 3, 9, 15], [9, 0, 18, 6]]))
    assert torch.equal(first, energy(shown(PICTURE)))
    other = Detection(Watching(), boxes, ("cat", "person"), seed=1)
    assert not torch.equal(first, other(shown(PICTURE)))


def test_a_face_nobody_finds_says_nothing():
    bright = torch.cat([PICTURE / 2 + 0.5, PICTURE * 0.1])
    energy = FaceIdentity(TinyFace(), PICTURE / 2 + 0.5, "cosine", TinyDetector())
    estimate = shown(bright.flip(3))
    value, slope = at_estimate(energy, estimate)
    assert value[0] > 0
    assert value[1] == 0
    assert slope[0].abs().sum() > 0
    assert torch.equal(slope[1], torch.zeros_like(slope[1]))
    assert estimate.notes.no_effect == {"FaceIdentity": 1}
    value, slope = at_estimate(energy, shown(bright[1:]))
    assert torch.equal(slope, torch.zeros_like(slope))


def test_a_face_is_the_found_box_with_its_margin():
    seen = []

    class Watching(TinyFace):
        def encode_face(self, image):
            seen.append(image)
            return super().encode_face(image)

    options = {"margin": 0.0, "threshold": 0.0}
    FaceIdentity(Watching(), PICTURE, "cosine", TinyDetector(), **options)(shown(PICTURE))
    part = PICTURE[..., :8, :10]  # the box ends at 7 and 9: pixels that it touches
    expected = torch.nn.functional.interpolate(part, (6, 6), mode="bilinear", antialias=True)
    assert_close(seen[0], expected)
    assert_close(seen[1], expected)


def test_aesthetic_falls_as_the_score_rises():
    class Fixed(TinyPredictor):
        def forward(self, embedding):
            return 0 * embedding.sum(1) + 4

    value = Aesthetic(CLIP, Fixed())(shown(PICTURE))
    assert_close(value, torch.nn.functional.softplus(ZERO + 6))


def test_energies_of_one_network_share_its_look():
    calls = []

    class Watching(TinyClassifier):
        def forward(self, image):
            calls.append("classifier")
            return super().forward(image)

    class WatchingClip(TinyClip):
        def encode_image(self, image):
            calls.append("clip")
            return super().encode_image(image)

    classifier, clip, features = Watching(), WatchingClip(), TinyFeatures()
    total = WeightedSum(
        (
            (1.0, ClassLabel(classifier, "red")),
            (1.0, ClassLabel(classifier, "circle")),
            (1.0, ClipText(clip, "a red circle", cutouts=2)),
            (1.0, ClipText(clip, "a blue square", "cosine", cutouts=2)),
            (1.0, Style(features, PICTURE, (0,))),
            (1.0, ReferenceImage(PICTURE, "features", features)),
        )
    )
    decoded = []
    at = Estimate(latent(), levels(1.0), lambda x0: decoded.append(1) or decode(x0))
    at_estimate(total, at)
    assert calls.count("classifier") == 1
    assert calls.count("clip") == 3  # the picture, two cutouts
    assert features.looks == 3  # the picture, and each energy's reference once
    assert len(decoded) == 1
    at_estimate(total, at)
    assert features.looks == 4


def test_shared_looks_do_not_change_the_gradient():
    classifier = TinyClassifier()
    red, circle = ClassLabel(classifier, "red"), ClassLabel(classifier, "circle")
    at = Estimate(latent(), levels(1.0), decode)
    _, both = at_estimate(WeightedSum(((1.0, red), (2.0, circle))), at)
    assert_close(both, at_estimate(red, at)[1] + 2 * at_estimate(circle, at)[1])


class Shy:
    """Has something to say about the first sample only."""

    reads_image = True

    def __call__(self, estimate):
        spoke = torch.arange(estimate.x0.shape[0]) == 0
        value = estimate.image.square().flatten(1).mean(1)
        estimate.notes.count(self, spoke)
        return torch.where(spoke, value, 0)


@pytest.mark.parametrize(
    "energy", [Shy(), WeightedSum(((2.0, Shy()),)), Masked(Shy(), torch.ones(4, 4))]
)
def test_silence_is_counted_and_pushes_nothing(energy):
    records = []
    run = run_with(records.append)
    denoise = guided([Backward(energy, Constant(1.0), steps=1)], Model(), run)
    x = latent(3)
    plain = Model()(x, levels(1.0, 3)).x0
    steered = denoise(x, levels(1.0, 3)).x0
    assert records[0].silent == {"Shy": 2}
    assert torch.equal(steered[1:], plain[1:])
    assert not torch.equal(steered[0], plain[0])
    denoise(x[:1], levels(1.0, 1))
    assert records[1].silent == {}


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LabelArea(CLIP, "circle", AREA), TypeError, "a segmenter, got tiny CLIP"),
        (lambda: LabelArea(SEGMENTER, "circel", AREA), ValueError, "no label 'circel'.*circle"),
        (lambda: LabelArea(SEGMENTER, "circle", 0 * AREA), ValueError, "'circle' is empty"),
        (lambda: LabelArea(SEGMENTER, "circle", AREA, "no"), ValueError, "got 'no'"),
        (lambda: Segmentation(SEGMENTER, AREA.long() + 2), ValueError, "numbers from 3 to 3"),
        (lambda: Segmentation(SEGMENTER, AREA.long() + 254), ValueError, "not ignored"),
        (lambda: Structure(CLIP, PICTURE), TypeError, "needs a ViT, got tiny CLIP"),
        (lambda: Structure(TinyViT(), PICTURE, "shape"), ValueError, "got 'shape'"),
        (lambda: Structure(TinyViT(), PICTURE, temperature=0), ValueError, "must be > 0"),
        (lambda: Semblance(CLIP, PICTURE), TypeError, "needs a ViT"),
        (lambda: Detection(CLIP, BOX, ("cat",)), TypeError, "a detector, got tiny CLIP"),
        (lambda: Detection(DETECTOR, BOX[:0], ()), ValueError, "at least one box"),
        (lambda: Detection(DETECTOR, BOX, ("cat", "cat")), ValueError, "2 labels and boxes"),
        (lambda: Detection(DETECTOR, BOX, ("dog",)), ValueError, "no label 'dog'"),
        (lambda: Detection(DETECTOR, 1.5 * BOX, ("cat",)), ValueError, "got 0 0.3 0.9 1.2"),
        (lambda: FaceIdentity(CLIP, PICTURE), TypeError, "a face encoder, got tiny CLIP"),
        (lambda: FaceIdentity(TinyFace(), PICTURE, "l2"), ValueError, "got 'l2'"),
        (
            lambda: FaceIdentity(TinyFace(), PICTURE, detector=CLIP),
            TypeError,
            "by a detector, got tiny CLIP",
        ),
        (
            lambda: FaceIdentity(TinyFace(), PICTURE, detector=DETECTOR, label="face"),
            ValueError,
            "no label 'face'",
        ),
        (
            lambda: FaceIdentity(TinyFace(), 0.1 * PICTURE, detector=DETECTOR)(
                shown(PICTURE / 2 + 0.5)
            ),
            ValueError,
            "finds no 'person' in reference 0: crop it",
        ),
        (lambda: Aesthetic(SEGMENTER, TinyPredictor()), TypeError, "a CLIP model, got tiny segm"),
        (lambda: Aesthetic(CLIP, CLIP), TypeError, "expected an aesthetic predictor"),
        (
            lambda: Aesthetic(CLIP, WIDE)(shown(PICTURE)),
            ValueError,
            "embeddings of 9 numbers, tiny CLIP gives 5",
        ),
        (lambda: ReferenceImage(PICTURE[0]), ValueError, "N x 3 x height x width, got"),
        (lambda: ReferenceImage(PICTURE * 255), ValueError, "values in .0, 1."),
        (lambda: ReferenceImage(PICTURE, "lpips"), ValueError, "got 'lpips'"),
        (lambda: ReferenceImage(PICTURE, "features"), ValueError, "needs a network: connect"),
        (lambda: Style(TinyClassifier(), PICTURE), TypeError, "feature maps, got tiny classifier"),
        (lambda: Style(FEATURES, PICTURE, ()), ValueError, "at least one layer"),
        (
            lambda: Style(FEATURES, PICTURE, (2,))(shown(PICTURE)),
            ValueError,
            "blocks 0 to 1, there is no layer 2",
        ),
        (lambda: ClipImage(FEATURES, PICTURE), TypeError, "a CLIP model, got tiny features"),
        (lambda: ClipImage(CLIP, PICTURE, "l2"), ValueError, "got 'l2'"),
        (lambda: Palette(torch.zeros(0, 3)), ValueError, "got 0 x 3"),
        (lambda: Palette(torch.full((1, 3), 2.0)), ValueError, "must be in .0, 1."),
        (
            lambda: ReferenceImage(PICTURE.expand(3, -1, -1, -1))(
                shown(PICTURE.repeat(2, 1, 1, 1))
            ),
            ValueError,
            "reference has 3 images, the latent batch 2",
        ),
    ],
)
def test_bad_input_is_refused_with_advice(make, error, words):
    with pytest.raises(error, match=words):
        make()
