"""Videos: frames that energies look at, and batches that stand for time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from guidance_core.attention.words import Word
from guidance_core.compose import guided
from guidance_core.energies.color import MeanColor
from guidance_core.energies.frames import Frames
from guidance_core.energies.loop import Loop
from guidance_core.energies.masked import Masked
from guidance_core.energies.presence import Presence
from guidance_core.energies.temporal import Temporal
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.gradients import at_estimate
from guidance_core.requirements import requirements_of
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.latent_update import LatentUpdate
from guidance_core.rules.manifold import Manifold
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.unified import Unified
from guidance_core.schedules import Constant
from guidance_core.shaping import peak_rms, rms
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, Model, assert_close, decode, levels, run_with, seeded

RED = torch.tensor([1.0, 0.0, 0.0])
CORNER = torch.zeros(10, 12)
CORNER[1:5, 2:8] = 1.0
RULES = {
    "forward": Forward,
    "backward": lambda energy, strength: Backward(energy, strength, optimiser="gd"),
    "manifold": Manifold,
    "posterior": Posterior,
    "on the sphere": lambda energy, strength: Posterior(energy, strength, "spherical"),
    "unified": Unified,
    "latent update": LatentUpdate,
}
VIDEO_ENERGIES = {
    "temporal": Temporal(),
    "temporal, image": Temporal(look="image"),
    "temporal, previous": Temporal("previous"),
    "temporal, every other": Temporal("previous", every=2),
    "temporal, mask": Temporal(mask=CORNER),
    "loop": Loop(),
    "loop, image": Loop("image", CORNER),
    "first": Frames(MeanColor(RED), "first"),
    "last": Frames(MeanColor(RED, share=0.5), "last"),
    "every": Frames(MeanColor(RED), "every", 2),
    "random": Frames(MeanColor(RED), "random", seed=3),
    "masked": Frames(Masked(MeanColor(RED), CORNER), "every", 1),
    "a frame of its own": MeanColor(RED),
}
EACH = pytest.mark.parametrize("energy", VIDEO_ENERGIES.values(), ids=VIDEO_ENERGIES.keys())


class Decoder:
    """Decodes a frame of a video, by a share of the frames around it where `around` is not 0."""

    def __init__(self, around: float = 0.0) -> None:
        self.around = around

    def __call__(self, x0: Tensor) -> Tensor:
        return decode(x0[:, :, 0])

    def frame(self, x0: Tensor, index: int) -> Tensor:
        others = x0.sum(2) - x0[:, :, index]
        return decode(x0[:, :, index] + self.around * others)


def video(batch: int = 2, frames: int = 5, seed: int = 0) -> Tensor:
    return seeded(batch, 4, frames, 5, 6, seed=seed)


def at(x0: Tensor, sigma: float = 1.0, around: float = 0.0) -> Estimate:
    return Estimate(x0, levels(sigma, len(x0)), Decoder(around))


def painted(*greys: float) -> Estimate:
    """A video whose frames are even greys, and whose latent is the image itself."""
    frames = torch.tensor(greys, dtype=DOUBLE).view(1, 1, -1, 1, 1).expand(1, 3, -1, 4, 4)
    return Estimate(frames.clone(), levels(1.0, 1), lambda x0: x0[:, :, 0])


@EACH
def test_a_video_has_the_right_slope(energy):
    x0, way = video(), seeded(2, 4, 5, 5, 6, seed=2)
    _, grad = at_estimate(energy, at(x0))
    ahead, behind = (energy(at(x0 + step * way)) for step in (1e-6, -1e-6))
    slope = (grad * way).flatten(1).sum(1)
    torch.testing.assert_close((ahead - behind) / 2e-6, slope, rtol=1e-5, atol=1e-9)


@EACH
def test_a_sample_alone_is_the_sample_in_a_batch(energy):
    x0 = video(3)
    whole, grad = at_estimate(energy, at(x0))
    for row in range(3):
        alone, slope = at_estimate(energy, at(x0[row : row + 1]))
        assert_close(alone, whole[row : row + 1])
        assert_close(slope, grad[row : row + 1])


def touched(energy, sigma: float = 1.0, around: float = 0.0) -> list[int]:
    """Frames of a video that an energy has a slope in."""
    _, grad = at_estimate(energy, at(video(), sigma, around))
    return grad.abs().amax((0, 1, 3, 4)).nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (Frames(MeanColor(RED), "first"), [0]),
        (Frames(MeanColor(RED), "last"), [4]),
        (Frames(MeanColor(RED), "every", 2), [0, 2, 4]),
        (Frames(MeanColor(RED), "every", 4), [0, 4]),
        (Frames(MeanColor(RED), "every", 9), [0]),
        (Temporal(every=3), [0, 3, 4]),
        (Temporal("first"), [1, 2, 3, 4]),
        (Temporal(look="image", every=4), [0, 4]),
        (Loop(), [0, 4]),
    ],
)
@pytest.mark.parametrize("around", [0.0, 0.3])
def test_the_chosen_frames_are_moved_and_no_others(frames, expected, around):
    assert touched(frames, around=around) == expected


def test_a_random_frame_depends_on_seed_and_noise_level_alone():
    seen = [touched(Frames(MeanColor(RED), "random", seed=3), sigma) for sigma in range(1, 40)]
    assert seen == [touched(Frames(MeanColor(RED), "random", seed=3), s) for s in range(1, 40)]
    assert seen != [touched(Frames(MeanColor(RED), "random", seed=4), s) for s in range(1, 40)]
    assert {len(frames) for frames in seen} == {1}
    assert {frames[0] for frames in seen} == set(range(5))


def test_without_frames_a_video_is_looked_at_one_frame_a_step():
    seen = [touched(MeanColor(RED), sigma) for sigma in range(1, 40)]
    assert seen == [touched(Frames(MeanColor(RED), "random"), sigma) for sigma in range(1, 40)]


def test_an_image_is_its_only_frame():
    x0 = seeded(2, 4, 5, 6)
    image = Estimate(x0, levels(1.0), decode)
    plain, grad = at_estimate(MeanColor(RED), image)
    for choice in ("first", "last", "every", "random"):
        value, slope = at_estimate(Frames(MeanColor(RED), choice), image)
        assert_close(value, plain)
        assert_close(slope, grad)


def test_frames_are_the_mean_of_what_each_shows():
    x0, red = video(), MeanColor(RED)
    each = [red(Estimate(x0[:, :, i], levels(1.0), decode)) for i in (0, 2, 4)]
    assert_close(Frames(red, "every", 2)(at(x0)), torch.stack(each).mean(0))


def test_a_frame_is_decoded_by_those_around_it():
    estimate = at(video(), around=0.3)
    expected = Decoder(0.3).frame(estimate.x0, 3)
    assert_close(estimate.frame(3).image, expected)
    assert not torch.allclose(estimate.frame(3).image, Decoder().frame(estimate.x0, 3))


def most_graphs(energy) -> int:
    """How many frames' graphs an energy keeps at a time, when one more is decoded."""
    kept: list[StorageWeakRef] = []
    most = [0]

    def decoding(x0):
        inside = x0[:, :, 0].exp()  # the graph keeps it
        kept.append(StorageWeakRef(inside.untyped_storage()))
        image = decode(inside)
        del inside
        most[0] = max(most[0], sum(not one.expired() for one in kept))
        return image

    at_estimate(energy, replace(at(video()), decode=decoding))
    return most[0]


def test_only_one_frame_has_a_graph_at_a_time():
    red = MeanColor(RED)
    assert most_graphs(lambda estimate: sum(red(estimate.frame(i)) for i in range(5))) == 5
    assert most_graphs(Frames(MeanColor(RED), n=1)) <= 1
    assert most_graphs(Temporal(look="image")) <= 1


def test_drift_is_known_in_even_frames():
    greys = painted(0.2, 0.4)
    for look in ("latent", "image"):
        assert_close(Temporal("mean", look)(greys), torch.tensor([0.01], dtype=DOUBLE))
        assert_close(Temporal("first", look)(greys), torch.tensor([0.04], dtype=DOUBLE))
        assert_close(Temporal("previous", look)(greys), torch.tensor([0.04], dtype=DOUBLE))
        assert_close(Loop(look)(greys), torch.tensor([0.04], dtype=DOUBLE))


def test_contrast_is_drift_too_and_movement_is_none():
    frames = torch.zeros(1, 3, 2, 4, 4, dtype=DOUBLE)
    frames[:, :, 0, :2], frames[:, :, 1, 2:] = 1.0, 1.0
    moved = Estimate(frames, levels(1.0, 1))
    assert_close(Temporal()(moved), torch.zeros(1, dtype=DOUBLE))
    assert_close(Loop()(moved), torch.ones(1, dtype=DOUBLE))
    frames = torch.full((1, 3, 2, 4, 4), 0.5, dtype=DOUBLE)
    frames[:, :, 1, :2], frames[:, :, 1, 2:] = 0.1, 0.9  # std 0.4, the other 0
    assert Temporal("first")(Estimate(frames, levels(1.0, 1))).item() == pytest.approx(
        0.16, rel=1e-5
    )


def test_a_mask_limits_drift_and_loop():
    estimate = painted(0.2, 0.4)
    left = torch.zeros(4, 4)
    left[:, :2] = 1
    estimate.x0[:, :, :, :, :2] = 0.7
    right = 1 - left
    for energy in (Temporal, Loop):
        assert_close(energy(mask=left)(estimate), torch.zeros(1, dtype=DOUBLE))
        assert energy(mask=right)(estimate) > 0.005


def test_the_terms_of_a_sum_are_means_over_the_frames():
    parts = ((1.0, MeanColor(RED)), (0.5, MeanColor(1 - RED)))
    estimate = at(video())
    value = Frames(WeightedSum(parts), n=1)(estimate)
    assert_close(sum(estimate.notes.terms.values()), value)


def test_a_step_is_as_large_as_asked_in_the_frame_that_moves_most():
    x, sigma, run = video(), levels(2.0), run_with()
    plain = guided([], video_model, run)(x, sigma).x0
    for rule in (Manifold, Posterior, Forward):
        moved = guided([rule(Frames(MeanColor(RED), "last"), Constant(0.5))], video_model, run)
        step = moved(x, sigma).x0 - plain
        assert_close(peak_rms(step), 0.5 * 2.0 / levels(5.0).sqrt())
        assert_close(rms(step), peak_rms(step) / levels(5.0).sqrt())


def video_model(x: Tensor, sigma: Tensor) -> Estimate:
    return replace(Model(cfg=False)(x, sigma), decode=Decoder())


def as_video(values: Tensor) -> Tensor:
    return values.movedim(0, 1)[None]


ON_BATCHES = {
    "frames": lambda batch: Frames(MeanColor(RED), "every", 2, batch_is_video=batch),
    "temporal": lambda batch: Temporal("previous", batch_is_video=batch),
    "loop, image": lambda batch: Loop("image", batch_is_video=batch),
    "sum": lambda batch: WeightedSum(
        ((1.0, Temporal(batch_is_video=batch)), (1.0, MeanColor(RED)))
    ),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
@pytest.mark.parametrize("energy", ON_BATCHES.values(), ids=ON_BATCHES.keys())
def test_a_batch_that_stands_for_time_is_guided_as_the_video(rule, energy):
    x, records = seeded(5, 4, 5, 6), []
    alone = replace(run_with(), numbers=(0,))
    expected = guided([rule(energy(False), Constant(0.5))], video_model, alone)(
        as_video(x), levels(2.0, 1)
    )
    run = replace(run_with(records.append), numbers=(0, 1, 2, 3, 4))
    found = guided([rule(energy(True), Constant(0.5))], Model(cfg=False), run)(x, levels(2.0, 5))
    assert_close(as_video(found.x0), expected.x0)
    assert found.sigma.shape == (5,)
    assert found.image.shape == (5, 3, 20, 24)
    assert records[0].energy.shape == (5,)
    assert (records[0].energy == records[0].energy[0]).all()


def test_a_rule_beside_one_of_a_video_still_sees_samples():
    x = seeded(3, 4, 5, 6)
    temporal = Forward(Temporal(batch_is_video=True), Constant(0.5))
    records = []
    guided([temporal, Forward(MeanColor(RED), Constant(0.5))], Model(), run_with(records.append))(
        x, levels(2.0, 3)
    )
    assert [len(record.energy) for record in records] == [3, 3]
    assert [len(set(record.energy.tolist())) for record in records] == [1, 3]


def test_strength_0_is_the_model():
    x = seeded(3, 4, 5, 6)
    rule = Forward(Temporal(batch_is_video=True), Constant(0.0))
    plain = guided([], Model(), run_with())(x, levels(2.0, 3))
    assert torch.equal(guided([rule], Model(), run_with())(x, levels(2.0, 3)).x0, plain.x0)


def test_what_needs_a_video_says_so():
    image = Estimate(seeded(1, 4, 5, 6), levels(1.0, 1), decode)
    for energy in (Temporal(), Loop()):
        with pytest.raises(ValueError, match="expected a video of two frames or more, got one"):
            energy(image)
    rule = Forward(Loop(batch_is_video=True), Constant(1.0))
    with pytest.raises(ValueError, match="only where latents are images"):
        guided([rule], video_model, run_with())(video(), levels(1.0))


def test_settings_are_checked():
    with pytest.raises(ValueError, match="frames must be one of first, last, every, random"):
        Frames(MeanColor(RED), "second")
    with pytest.raises(ValueError, match="n must be >= 1"):
        Frames(MeanColor(RED), n=0)
    with pytest.raises(ValueError, match="look at the image alone, Presence does not"):
        Frames(Presence((Word("red", (1,)),)))
    with pytest.raises(ValueError, match="Temporal compares frames of a video"):
        Frames(Temporal(look="image"))
    with pytest.raises(ValueError, match="compare must be one of"):
        Temporal("last")
    with pytest.raises(ValueError, match="look must be one of"):
        Temporal(look="vae")
    with pytest.raises(ValueError, match="look must be one of"):
        Loop("vae")
    with pytest.raises(ValueError, match="every must be >= 1"):
        Temporal(every=0)


def test_a_host_is_told_what_to_decode():
    assert not requirements_of([Temporal(), Loop()]).reads_image
    assert requirements_of([Temporal(look="image")]).reads_image
    assert requirements_of([Frames(MeanColor(RED))]).reads_image
    assert requirements_of([WeightedSum(((1.0, Loop(batch_is_video=True)),))]).batch_is_video
    assert not requirements_of([Loop()]).batch_is_video
