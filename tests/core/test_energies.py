"""The laws that every energy obeys, and the closed forms of each."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from guidance_core.attention.words import Word
from guidance_core.energies.aesthetic import Aesthetic
from guidance_core.energies.appearance import Appearance
from guidance_core.energies.attention_keep import AttentionKeep
from guidance_core.energies.binding import Binding
from guidance_core.energies.box import Box
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.clip_image import ClipImage
from guidance_core.energies.clip_text import ClipText
from guidance_core.energies.color import MeanColor
from guidance_core.energies.color_histogram import ColorHistogram
from guidance_core.energies.contrast import Contrast
from guidance_core.energies.detection import Detection
from guidance_core.energies.dominance import Dominance
from guidance_core.energies.face_identity import FaceIdentity
from guidance_core.energies.feature_keep import FeatureKeep
from guidance_core.energies.image import ReferenceImage
from guidance_core.energies.label_area import LabelArea
from guidance_core.energies.layout import Layout
from guidance_core.energies.look import Look
from guidance_core.energies.masked import Masked
from guidance_core.energies.palette import Palette
from guidance_core.energies.position import Position
from guidance_core.energies.presence import Presence
from guidance_core.energies.range import Range
from guidance_core.energies.scheduled import Scheduled
from guidance_core.energies.segmentation import Segmentation
from guidance_core.energies.semblance import Semblance
from guidance_core.energies.shape import Shape
from guidance_core.energies.size import Size
from guidance_core.energies.smoothed import Smoothed
from guidance_core.energies.smoothness import Smoothness
from guidance_core.energies.structure import Structure
from guidance_core.energies.style import Style
from guidance_core.energies.text_direction import TextDirection
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.gradients import at_estimate, through_model
from guidance_core.requirements import is_active, requirements_of
from guidance_core.schedules import Constant, Window
from guidance_core.types import Estimate
from tests.core.toys import (
    DOUBLE,
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
    inside,
    latent,
    levels,
    reference,
    seeded,
    toward,
)

RED = torch.tensor([1.0, 0.0, 0.0])
CLIP, CLASSIFIER, FEATURES = TinyClip(), TinyClassifier(), TinyFeatures()
SEGMENTER, VIT = TinySegmenter(), TinyViT()
PICTURE = seeded(1, 3, 14, 18, seed=8).sigmoid()
CORNER = torch.zeros(10, 12)
CORNER[1:5, 2:8] = 1.0
PAIR = torch.stack([CORNER, CORNER.flip(0, 1)])

RED_WORD, CIRCLE, SMALL = Word("red", (2,)), Word("circle", (3, 4)), Word("small", (1,))
WORDS, OTHER, BOX = (RED_WORD, CIRCLE), reference(latent(1, seed=9)), (0.1, 0.3, 0.55, 0.8)

CASES = {
    "color": MeanColor(RED),
    "color of a share": MeanColor(RED, share=0.3),
    "color in a mask": MeanColor(RED, mask=CORNER),
    "label": ClassLabel(CLASSIFIER, "blue"),
    "label of many": ClassLabel(TinyClassifier(multi_label=True), "circle"),
    "text": ClipText(CLIP, "a red circle", cutouts=0),
    "text, cosine": ClipText(CLIP, "a red circle", "cosine", cutouts=0),
    "text, cutouts": ClipText(CLIP, "a red circle", cutouts=2, augment=False),
    "text, augmented": ClipText(CLIP, "a red circle", cutouts=2),
    "text direction": TextDirection(CLIP, "a red circle", "a cat", PICTURE, cutouts=0),
    "range": Range(0.5),
    "image, l2": ReferenceImage(PICTURE),
    "image, l1": ReferenceImage(PICTURE, "l1"),
    "image, features": ReferenceImage(PICTURE, "features", FEATURES),
    "clip image": ClipImage(CLIP, PICTURE, cutouts=1),
    "style": Style(FEATURES, PICTURE, (0, -1)),
    "palette": Palette(torch.eye(3)),
    "histogram": ColorHistogram(PICTURE),
    "smoothness": Smoothness(),
    "smoothness, squared": Smoothness(keep_edges=False),
    "label area": LabelArea(SEGMENTER, "circle", CORNER),
    "label area, rest ignored": LabelArea(SEGMENTER, "circle", CORNER, "ignored"),
    "class map": Segmentation(SEGMENTER, CORNER.long()),
    "segmentation of a picture": Segmentation(SEGMENTER, PICTURE),
    "structure": Structure(VIT, PICTURE),
    "structure, contrast": Structure(VIT, PICTURE, "contrast", temperature=0.5),
    "semblance": Semblance(VIT, PICTURE),
    "detection": Detection(TinyDetector(), torch.tensor([[0.0, 0.25, 0.5, 1.0]]), ("cat",)),
    "face": FaceIdentity(TinyFace(), PICTURE),
    "found face": FaceIdentity(TinyFace(), PICTURE, "l1", TinyDetector(), threshold=0.0),
    "aesthetic": Aesthetic(CLIP, TinyPredictor()),
    "sum": WeightedSum(((2.0, MeanColor(RED)), (0.5, ClassLabel(CLASSIFIER, "red")))),
    "scheduled": Scheduled(MeanColor(RED), Constant(0.5)),
    "smoothed": Smoothed(ClassLabel(CLASSIFIER, "red"), gamma=0.3, samples=3),
    "masked color": Masked(MeanColor(RED, share=0.5), CORNER),
    "masked label": Masked(ClassLabel(CLASSIFIER, "red"), CORNER),
    "masked image": Masked(ReferenceImage(PICTURE), CORNER),
    "masked features": Masked(ReferenceImage(PICTURE, "features", FEATURES), CORNER),
    "latent": toward(),
    "dominance": Dominance((*WORDS, SMALL)),
    "contrast": Contrast((WORDS, (SMALL,))),
    "position": Position(WORDS, (0.2, 0.9)),
    "position, reference": Position(WORDS, reference=OTHER, shift=(0.1, -0.2)),
    "size": Size(WORDS, 0.02),
    "size, reference": Size(WORDS, reference=OTHER, ratio=3.0),
    "shape": Shape(WORDS, CORNER),
    "shape, with layout": Shape(WORDS, CORNER, measure="with layout"),
    "shape, reference": Shape(WORDS, reference=OTHER, shift=(0.2, 0.0), scale=1.3, angle=-40.0),
    "appearance": Appearance(WORDS, OTHER),
    "box": Box(WORDS, BOX),
    "box, boxdiff": Box(WORDS, BOX, "boxdiff"),
    "box, turned": Box(WORDS, BOX, angle=30.0),
    "presence": Presence(WORDS),
    "binding": Binding(WORDS),
    "binding, others": Binding(WORDS, (SMALL,)),
    "attention keep": AttentionKeep(OTHER),
    "attention keep, words": AttentionKeep(OTHER, WORDS),
    "feature keep": FeatureKeep(OTHER),
    "look": Look(OTHER),
    "layout": Layout(OTHER),
    "feature keep, mask": FeatureKeep(OTHER, CORNER),
    "sum of attention": WeightedSum(
        ((2.0, Position(WORDS, (0.2, 0.9))), (0.5, FeatureKeep(OTHER)))
    ),
    "scheduled box": Scheduled(Box(WORDS, BOX), Constant(0.5)),
}
EACH = pytest.mark.parametrize("energy", CASES.values(), ids=CASES.keys())


def at(x0: Tensor, sigma: float = 1.0) -> Estimate:
    return Estimate(x0, levels(sigma, x0.shape[0]), decode)


def shown(image: Tensor) -> Estimate:
    """An estimate whose latent is the picture itself."""
    return Estimate(image, levels(1.0, image.shape[0]), lambda x0: x0)


def flat(*rgb: float, size: int = 16) -> Tensor:
    return torch.tensor(rgb, dtype=DOUBLE).view(1, 3, 1, 1).expand(1, 3, size, size).clone()


def model(energy):
    """A model whose clean estimate is x, and that shows what the energy declares, nothing else."""
    wanted = requirements_of([energy])

    def denoise(x: Tensor, sigma: Tensor) -> Estimate:
        captures = {request: inside(request, x) for request in wanted.captures}
        return Estimate(x, sigma, decode if wanted.reads_image else None, captures)

    return denoise


def value(energy, x: Tensor, dtype: torch.dtype = DOUBLE) -> Tensor:
    estimate = model(energy)(x, levels(1.0, len(x)).to(x))
    return energy(estimate.mapped(lambda part: part.to(dtype)))


def gradient(energy, x: Tensor) -> tuple[Tensor, Tensor]:
    _, energies, grad = through_model(energy, model(energy), x, levels(1.0, len(x)))
    return energies, grad


@EACH
def test_one_finite_nonnegative_value_per_sample(energy):
    energies = value(energy, latent(3))
    assert energies.shape == (3,)
    assert energies.isfinite().all()
    assert (energies >= 0).all()


@EACH
def test_sample_alone_equals_sample_in_batch(energy):
    x = latent(3)
    energies, grad = gradient(energy, x)
    assert grad.flatten(1).any(1).all()
    for i in range(3):
        alone, slope = gradient(energy, x[i : i + 1])
        assert_close(alone[0], energies[i])
        assert_close(slope[0], grad[i])


@pytest.mark.parametrize("name", [name for name in CASES if name != "masked label"])
def test_gradient_is_that_of_finite_differences(name):
    energy, x = CASES[name], latent(1, seed=3)
    if not requirements_of([energy]).captures:
        x = latent(1)[..., :3, :3]  # references are of the whole size
    x = x.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: value(energy, x), x, atol=1e-6)


@EACH
def test_a_small_step_down_lowers_it(energy):
    energies, grad = gradient(energy, latent())
    step = 1e-4 / grad.flatten(1).norm(dim=1).clamp_min(1e-9).view(-1, 1, 1, 1)
    assert (value(energy, latent() - step * grad) < energies).all()


@EACH
def test_asked_twice_says_the_same_and_leaves_the_generator_alone(energy):
    state = torch.random.get_rng_state()
    first = value(energy, latent())
    assert torch.equal(first, value(energy, latent()))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", [name for name in CASES if name != "latent"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_measured_in_float32(name, dtype):
    energies = value(CASES[name], latent(), dtype)
    assert energies.dtype == torch.float32
    torch.testing.assert_close(energies.double(), value(CASES[name], latent()), rtol=0.1, atol=0.1)


@EACH
def test_declares_that_it_reads_the_image_or_the_inside_of_the_model(energy):
    wanted = requirements_of([energy])
    assert not (wanted.captures and (wanted.reads_image or wanted.networks))
    assert wanted.captures_only == bool(wanted.captures)
    of_latents = (CASES["latent"], CASES["range"])
    assert bool(wanted.captures or wanted.reads_image) == (energy not in of_latents)


def test_a_range_costs_what_is_outside_of_it():
    x0 = torch.tensor([[0.5, -1.0, 1.5, -3.0], [1.0, 0.0, -1.0, 0.9]], dtype=DOUBLE)
    estimate = Estimate(x0.view(2, 1, 2, 2).requires_grad_(), levels(1.0, 2))
    energy, grad = at_estimate(Range(1.0), estimate)
    assert_close(energy, torch.tensor([(0.25 + 4.0) / 4, 0.0], dtype=DOUBLE))
    assert_close(grad[0].flatten(), torch.tensor([0.0, 0.0, 0.25, -1.0], dtype=DOUBLE))
    # At 1, on pixels in [-1, 1], DiffuseIT's.
    published = (x0 - x0.clamp(-1, 1)).pow(2).mean(1)
    assert_close(energy, published)
    with pytest.raises(ValueError, match="limit must be > 0"):
        Range(0.0)


def test_a_text_direction_is_diffuseits_with_its_gradient():
    """Minus the mean cosine to E_T - 0.4 E_S + 0.2 E_I0, its code's, plus 1."""
    image = decode(latent()).detach().requires_grad_()
    source = torch.cat([PICTURE, 1 - PICTURE])
    energy = TextDirection(CLIP, "a red circle", "some cat", source, cutouts=0)
    value = energy(Estimate(image, levels(1.0, 2), lambda x0: x0))
    target, there = CLIP.encode_text(["a red circle"]), CLIP.encode_text(["some cat"])
    wanted = target - 0.4 * there + 0.2 * CLIP.encode_image(source.double())
    published = -F.cosine_similarity(CLIP.encode_image(image), wanted)
    assert_close(value, 1 + published)
    slopes = [torch.autograd.grad(v.sum(), image)[0] for v in (value, published)]
    assert_close(*slopes)


def test_a_text_direction_follows_its_shares():
    look = lambda away, keep: TextDirection(CLIP, "red", "blue", PICTURE, away, keep, cutouts=0)
    only_text = ClipText(CLIP, "red", "cosine", cutouts=0)
    assert_close(look(0.0, 0.0)(at(latent())), only_text(at(latent())))
    source = lambda energy: float(energy(shown(PICTURE.double())))
    assert source(look(0.4, 2.0)) < source(look(0.4, 0.2)) < source(look(0.4, 0.0))
    cut = TextDirection(CLIP, "red", "blue", PICTURE, 0.0, 0.0, cutouts=2)
    assert_close(cut(at(latent())), ClipText(CLIP, "red", "cosine", cutouts=2)(at(latent())))


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ((CLASSIFIER, "a", "b", PICTURE), TypeError, "a text direction needs a CLIP model"),
        ((CLIP, "a", " ", PICTURE), ValueError, "must both be texts"),
        ((CLIP, "a", "b", PICTURE, -0.1), ValueError, "must be >= 0"),
        ((CLIP, "a", "b", PICTURE[0]), ValueError, "reference must be images"),
    ],
)
def test_a_text_direction_refuses_what_it_cannot_use(arguments, error, reason):
    with pytest.raises(error, match=reason):
        TextDirection(*arguments)


def test_color_is_zero_at_its_target_and_known_elsewhere():
    energy = MeanColor(torch.tensor([0.25, 0.5, 1.0]))
    assert_close(energy(shown(flat(0.25, 0.5, 1.0))), torch.zeros(1, dtype=DOUBLE))
    off = energy(shown(flat(0.25, 0.0, 0.5)))
    assert_close(off, torch.tensor([0.5], dtype=DOUBLE))


def half_red() -> Tensor:
    image = flat(0, 0, 1)
    image[..., :8] = flat(1, 0, 0)[..., :8]
    return image


def test_color_of_a_share_looks_at_the_nearest_pixels_only():
    assert_close(MeanColor(RED)(shown(half_red())), torch.tensor([0.5], dtype=DOUBLE))
    for share, energy in ((0.5, 0.0), (0.25, 0.0), (0.75, 2 / 9), (1.0, 0.5)):
        value = MeanColor(RED, share)(shown(half_red()))
        assert_close(value, torch.tensor([energy], dtype=DOUBLE))
    _, grad = at_estimate(MeanColor(RED, 0.75), shown(half_red()))
    assert (grad[..., :8].abs().sum(1) > 0).all()
    assert float((grad.abs().sum(1) > 0).double().mean()) == 0.75


def test_color_in_a_mask_weights_pixels():
    mask = torch.zeros(16, 16)
    mask[:, 8:] = 0.5
    value = MeanColor(RED, mask=mask)(shown(half_red()))
    assert_close(value, torch.tensor([2.0], dtype=DOUBLE))
    soft = torch.ones(16, 16)
    soft[:, 8:] = 0.5
    assert_close(MeanColor(RED, mask=soft)(shown(half_red())), torch.tensor([2 / 9], dtype=DOUBLE))


def test_a_share_is_a_share_of_the_masked_area():
    mask = torch.zeros(16, 16)
    mask[:, 6:10] = 1.0
    for share, energy in ((0.5, 0.0), (1.0, 0.5)):
        value = MeanColor(RED, share, mask)(shown(half_red()))
        assert_close(value, torch.tensor([energy], dtype=DOUBLE))


def test_masks_multiply():
    left, top = torch.zeros(16, 16), torch.zeros(16, 16)
    left[:, :8], top[:4] = 1.0, 1.0
    both = Masked(MeanColor(RED, mask=left), top)
    _, grad = at_estimate(both, shown(flat(0, 1, 0)))
    assert torch.equal((grad.abs().sum(1)[0] > 0).float(), left * top)


def test_a_label_is_cross_entropy_or_softplus():
    image = decode(latent())
    logits = CLASSIFIER(image)
    target = torch.tensor([1, 1])
    expected = F.cross_entropy(logits, target, reduction="none")
    assert_close(ClassLabel(CLASSIFIER, "blue")(at(latent())), expected)
    many = ClassLabel(TinyClassifier(multi_label=True), "blue")
    assert_close(many(at(latent())), -logits[:, 1].sigmoid().log())


def test_a_label_seen_with_enough_confidence_is_done():
    published = ClassLabel(CLASSIFIER, "blue")(at(latent()))
    enough = float((-published).exp().mean())  # between the two samples
    energy, grad = at_estimate(ClassLabel(CLASSIFIER, "blue", enough), at(latent()))
    assert_close(energy, (published + math.log(enough)).clamp_min(0))
    assert ((energy == 0) == (grad.flatten(1).norm(dim=1) == 0)).all()
    assert sorted(energy.gt(0).tolist()) == [False, True]


class Fixed:
    """A CLIP whose picture embedding is given."""

    input_size, name = 8, "fixed"

    def __init__(self, angle: float) -> None:
        self.angle = angle

    def encode_image(self, image):
        turned = torch.tensor([math.cos(self.angle), math.sin(self.angle)], dtype=DOUBLE)
        return turned + 0 * image.mean((1, 2, 3))[:, None]

    def encode_text(self, texts):
        return torch.tensor([[1.0, 0.0]], dtype=DOUBLE)


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 2, 3.0, math.pi])
def test_distances_between_embeddings_are_those_of_the_angle(angle):
    spherical = ClipText(Fixed(angle), "a", cutouts=0)
    cosine = ClipText(Fixed(angle), "a", "cosine", cutouts=0)
    value, grad = at_estimate(spherical, at(latent(1)))
    assert_close(value, torch.tensor([angle**2 / 2], dtype=DOUBLE))
    assert grad.isfinite().all()
    assert_close(cosine(at(latent(1))), torch.tensor([1 - math.cos(angle)], dtype=DOUBLE))


@pytest.mark.parametrize("distance", ["spherical", "cosine"])
def test_a_text_shown_with_enough_likeness_is_done(distance):
    for angle, done in ((0.6, False), (0.5, True), (0.4, True)):
        energy = ClipText(Fixed(angle), "a", distance, cutouts=0, enough=math.cos(0.5) - 1e-9)
        published = ClipText(Fixed(angle), "a", distance, cutouts=0)(at(latent(1)))
        floor = 0.5**2 / 2 if distance == "spherical" else 1 - math.cos(0.5)
        value = energy(at(latent(1)))
        assert abs(float(value - (published - floor).clamp_min(0))) < 1e-8
        assert bool(value <= energy.reached(1.0)) == done


def test_a_text_shown_with_enough_likeness_is_pushed_no_more():
    published = ClipText(CLIP, "a red circle", cutouts=0)
    cosines = 1 - ClipText(CLIP, "a red circle", "cosine", cutouts=0)(at(latent()))
    middle = float(cosines.mean())  # between the two samples
    energy, grad = at_estimate(replace(published, enough=middle), at(latent()))
    _, other = at_estimate(published, at(latent()))
    done = cosines >= middle
    assert sorted(done.tolist()) == [False, True]
    assert (grad[done] == 0).all()
    assert (energy[done] == 0).all()
    assert_close(grad[~done], other[~done])


def test_spherical_distance_is_the_published_one():
    energy = ClipText(CLIP, "a red circle", cutouts=0)
    chord = (CLIP.encode_image(decode(latent())) - energy.target).norm(dim=1)
    assert_close(energy(at(latent())), 2 * (chord / 2).arcsin().square())


@pytest.mark.parametrize("augment", [False, True])
def test_cutouts_follow_seed_and_noise_level(augment):
    def value(seed, sigma):
        energy = ClipText(CLIP, "a red circle", cutouts=3, augment=augment, seed=seed)
        return energy(at(latent(), sigma))

    assert torch.equal(value(0, 1.0), value(0, 1.0))
    assert not torch.equal(value(0, 1.0), value(1, 1.0))
    assert not torch.equal(value(0, 1.0), value(0, 2.0))


def test_more_cutouts_keep_the_first_ones():
    seen = []

    class Watching(TinyClip):
        def encode_image(self, image):
            seen.append(image)
            return super().encode_image(image)

    for count in (1, 2):
        ClipText(Watching(), "a", cutouts=count, augment=False)(at(latent()))
    sizes = [tuple(view.shape[-2:]) for view in seen]
    assert sizes == [(20, 24), (8, 8), (20, 24), (8, 8), (8, 8)]
    assert torch.equal(seen[1], seen[3])


def test_cutouts_show_the_part_that_they_cut():
    images = []

    class Watching(TinyClip):
        def encode_image(self, image):
            images.append(image)
            return super().encode_image(image)

    ramp = torch.linspace(0, 1, 32, dtype=DOUBLE).view(1, 1, 32, 1).expand(1, 3, 32, 32)
    ClipText(Watching(), "a", cutouts=8, augment=False, least=0.5)(shown(ramp))
    spans = [float(view.max() - view.min()) for view in images[1:]]
    assert all(0.4 < span <= 1.001 for span in spans)
    assert len(set(spans)) > 4
    assert max(float(view.min()) for view in images[1:]) > 0.1


def test_text_is_encoded_once():
    clip = TinyClip()
    energy = ClipText(clip, "a red circle")
    for _ in range(3):
        energy(at(latent()))
    assert clip.encoded == 1


def test_a_sum_adds_its_parts_and_skips_the_idle_ones():
    red, blue = MeanColor(RED), MeanColor(RED.flip(0))

    def never(estimate):
        raise AssertionError("an idle part was evaluated")

    idle = Scheduled(never, Window(0.5, 0.1))
    total = WeightedSum(((2.0, red), (-0.5, blue), (0.0, never), (1.0, idle)))
    assert_close(total(at(latent())), 2 * red(at(latent())) - 0.5 * blue(at(latent())))
    assert total.active(1.0)
    assert not WeightedSum(((0.0, red), (1.0, idle))).active(1.0)
    assert is_active(Masked(WeightedSum(((1.0, red),)), CORNER), 1.0)


def test_a_scheduled_energy_follows_its_schedule():
    energy = Scheduled(MeanColor(RED), Window(2.0, 1.0, value=0.5))
    assert_close(energy(at(latent(), 2.0)), 0.5 * MeanColor(RED)(at(latent())))
    assert torch.equal(energy(at(latent(), 1.0)), torch.zeros(2, dtype=DOUBLE))
    assert energy.active(2.0)
    assert not energy.active(1.0)


@pytest.mark.parametrize("name", ["label", "text", "text, augmented", "color", "sum"])
def test_a_masked_energy_pushes_only_inside(name):
    image = decode(latent())
    _, grad = at_estimate(Masked(CASES[name], CORNER), shown(image))
    inside = F.interpolate(CORNER[None, None], image.shape[-2:], mode="area")[0, 0] > 0
    assert (grad[..., ~inside] == 0).all()
    assert (grad[..., inside].abs().sum((0, 1)) > 0).any()


def test_a_masked_network_sees_the_square_around_the_mask():
    seen = []

    class Watching(TinyClassifier):
        def forward(self, image):
            seen.append(image)
            return super().forward(image)

    image = seeded(2, 3, 20, 24).sigmoid()
    Masked(ClassLabel(Watching(), "red"), CORNER)(shown(image))
    assert torch.equal(seen[0], image[..., 0:12, 4:16])


def test_a_mask_for_each_sample():
    both = Masked(ClassLabel(CLASSIFIER, "red"), PAIR)(at(latent()))
    for i in range(2):
        alone = Masked(ClassLabel(CLASSIFIER, "red"), PAIR[i])(at(latent()[i : i + 1]))
        assert_close(both[i], alone[0])
    colors = Masked(MeanColor(RED), PAIR)(at(latent()))
    assert_close(colors[1], Masked(MeanColor(RED), PAIR[1])(at(latent()))[1])


def test_a_tall_mask_gives_as_much_of_a_square_as_there_is():
    seen = []

    class Watching(TinyClassifier):
        def forward(self, image):
            seen.append(tuple(image.shape[-2:]))
            return super().forward(image)

    mask = torch.zeros(16, 8)
    mask[1:15, 3] = 1
    Masked(ClassLabel(Watching(), "red"), mask)(shown(seeded(1, 3, 16, 8).sigmoid()))
    assert seen == [(14, 8)]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: MeanColor(torch.tensor([1.0, 0.0])), ValueError, "three values in"),
        (lambda: MeanColor(torch.tensor([1.5, 0.0, 0.0])), ValueError, "got 1.5, 0, 0"),
        (lambda: MeanColor(RED, share=0.0), ValueError, "share must be in .0, 1., got 0.0"),
        (lambda: ClassLabel(CLASSIFIER, "rde"), ValueError, "no label 'rde' .*try one of: red"),
        (lambda: ClassLabel(CLASSIFIER, "red", 0.0), ValueError, "confidence .* got 0.0"),
        (lambda: ClassLabel(CLIP, "red"), TypeError, "needs a classifier, got tiny CLIP"),
        (lambda: ClipText(CLASSIFIER, "red"), TypeError, "needs a CLIP model, got tiny classifier"),
        (lambda: ClipText(CLIP, "  "), ValueError, "the text is empty"),
        (lambda: ClipText(CLIP, "a", "euclidean"), ValueError, "got 'euclidean'"),
        (lambda: ClipText(CLIP, "a", cutouts=-1), ValueError, "cutouts >= 0"),
        (lambda: ClipText(CLIP, "a", least=0.0), ValueError, "0 < least <= 1"),
        (lambda: ClipText(CLIP, "a", enough=1.1), ValueError, "from 0 to 1, got 1.1"),
        (lambda: WeightedSum(()), ValueError, "at least one energy"),
        (lambda: WeightedSum(((math.nan, MeanColor(RED)),)), ValueError, "got nan"),
        (lambda: Masked(MeanColor(RED), torch.zeros(4, 4)), ValueError, "the mask is empty"),
        (lambda: Masked(MeanColor(RED), torch.ones(4)), ValueError, "got 4"),
        (lambda: Masked(MeanColor(RED), 2 * torch.ones(4, 4)), ValueError, "in .0, 1."),
        (lambda: Masked(toward(), CORNER), ValueError, "reads the image"),
    ],
)
def test_bad_arguments_are_refused_at_once(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    "make", [lambda m: MeanColor(RED, mask=m), lambda m: Masked(CASES["label"], m)]
)
def test_masks_and_pictures_of_different_number_are_refused(make):
    with pytest.raises(ValueError, match="mask has 2 images, the latent batch 3"):
        make(PAIR)(at(latent(3)))
