"""Maps of video: what energies of attention make of a frame axis."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from guidance_core.attention.heatmaps import heatmaps
from guidance_core.attention.maps import across_text, layer_mean, resized
from guidance_core.attention.references import Reference
from guidance_core.attention.words import Word
from guidance_core.captures import Attention
from guidance_core.energies.appearance import Appearance
from guidance_core.energies.attention_keep import AttentionKeep
from guidance_core.energies.binding import Binding
from guidance_core.energies.box import Box
from guidance_core.energies.feature_keep import FeatureKeep
from guidance_core.energies.position import Position
from guidance_core.energies.presence import Presence
from guidance_core.energies.shape import Shape
from guidance_core.energies.size import Size
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, levels, seeded

RED, CIRCLE = Word("red", (2,)), Word("circle", (3, 4))
WORDS, FRAMES = (RED, CIRCLE), 3
OUTLINE = torch.zeros(2, 10, 12, dtype=DOUBLE)
OUTLINE[0, 2:6, 1:7] = 1
OUTLINE[1, 4:9, 3:8] = 1


def values(request, seed: int = 0) -> Tensor:
    count = len(request.positions) or 6 if isinstance(request, Attention) else 3
    heads = (2,) if getattr(request, "heads", "mean") == "each" else ()
    return seeded(2, count, *heads, FRAMES, 8, 8, seed=seed).sigmoid() / 6


def reference(energy) -> Reference:
    return Reference({1.0: {request: (values(request, 5),) for request in energy.captures}}, (8, 8))


def frame_of(there: Reference, frame: int) -> Reference:
    (level,) = there.recorded.values()
    return Reference(
        {1.0: {r: tuple(v[..., frame, :, :] for v in vs) for r, vs in level.items()}}, (8, 8)
    )


def energy_of(energy, frame: int | None = None) -> Tensor:
    captures = {request: (values(request),) for request in energy.captures}
    if frame is not None:
        captures = {request: (part[..., frame, :, :],) for request, (part,) in captures.items()}
    x = seeded(2, 4, 8, 8)
    return energy(Estimate(x, levels(1.0, 2), captures=captures))


PLAIN = [
    Position(WORDS, (0.2, 0.6)),
    Position(WORDS, (0.2, 0.6), measure="published"),
    Size(WORDS, 0.3),
    Size(WORDS, 0.3, measure="published"),
    Shape(WORDS, OUTLINE, shift=(0.1, 0.0), angle=30.0),
    Box(WORDS, (0.1, 0.3, 0.6, 0.8)),
    Box(WORDS, (0.1, 0.3, 0.6, 0.8), heads="each"),
    Box(WORDS, (0.1, 0.3, 0.6, 0.8), "boxdiff"),
    Presence(WORDS),
]
COMPARING = [
    lambda there: Position(WORDS, reference=there, shift=(0.1, 0.0)),
    lambda there: Size(WORDS, reference=there, ratio=1.5),
    lambda there: Shape(WORDS, reference=there, scale=1.5),
    lambda there: AttentionKeep(there, WORDS),
    lambda there: AttentionKeep(there, heads="each"),
]


@pytest.mark.parametrize("energy", PLAIN, ids=repr)
def test_an_energy_of_a_clip_is_the_mean_of_its_frames(energy):
    frames = [energy_of(energy, frame) for frame in range(FRAMES)]
    assert_close(energy_of(energy), torch.stack(frames).mean(0))
    assert torch.stack(frames).std(0).min() > 1e-6


@pytest.mark.parametrize("make", COMPARING)
def test_each_frame_is_compared_with_its_own_in_the_reference(make):
    empty = Reference({1.0: {Attention(): (torch.ones(1, 1, 1, 1),)}}, (8, 8))
    there = reference(make(empty))
    frames = [energy_of(make(frame_of(there, frame)), frame) for frame in range(FRAMES)]
    assert_close(energy_of(make(there)), torch.stack(frames).mean(0))


def test_a_kept_feature_is_weighed_over_the_whole_clip():
    empty = Reference({1.0: {Attention(): (torch.ones(1, 1, 1, 1),)}}, (8, 8))
    there = reference(FeatureKeep(empty))
    energy = FeatureKeep(there, OUTLINE)
    weight = torch.nn.functional.interpolate(OUTLINE[:, None], (8, 8), mode="area")[:, :, None]
    (request,) = energy.captures
    now, then = values(request), there.at(1.0, request)[0].double()
    change = (weight * (now - then).square()).flatten(1).sum(1)
    assert_close(energy_of(energy), change / (weight * then.square()).flatten(1).sum(1))


def test_binding_is_that_of_the_clip_as_one_picture():
    energy = Binding((RED, CIRCLE), (Word("big", (1,)),))
    captures = {request: (values(request).flatten(-3, -2),) for request in energy.captures}
    wide = energy(Estimate(seeded(2, 4, 8, 8), levels(1.0, 2), captures=captures))
    assert_close(energy_of(energy), wide)


@pytest.mark.parametrize("measure", ["adapted", "published"])
def test_the_look_of_a_clip_of_one_frame_over_and_over_is_that_of_the_frame(measure):
    empty = Reference({1.0: {Attention(): (torch.ones(1, 1, 1, 1),)}}, (8, 8))
    one = frame_of(reference(Appearance(WORDS, empty)), 0)
    again = lambda part: part[..., None, :, :].repeat_interleave(FRAMES, -3)
    (level,) = one.recorded.values()
    clip = Reference({1.0: {r: tuple(map(again, vs)) for r, vs in level.items()}}, (8, 8))
    energy, shown = Appearance(WORDS, one, measure=measure), {}
    for request in energy.captures:
        shown[request] = (values(request)[..., 1, :, :],)
    here = Estimate(seeded(2, 4, 8, 8), levels(1.0, 2), captures=shown)
    clips = {request: tuple(map(again, parts)) for request, parts in shown.items()}
    there = Estimate(here.x0, here.sigma, captures=clips)
    moving = Appearance(WORDS, clip, measure=measure)(there)
    torch.testing.assert_close(moving, energy(here), rtol=1e-3, atol=1e-9)


def test_sizes_shares_and_heat_maps_are_those_of_each_frame():
    clip = seeded(2, 6, FRAMES, 8, 8).sigmoid()
    frames = [clip[:, :, frame] for frame in range(FRAMES)]
    stacked = lambda change: torch.stack([change(frame) for frame in frames], 2)
    assert_close(resized(clip, (4, 6)), stacked(lambda maps: resized(maps, (4, 6))))
    assert_close(across_text(clip), stacked(across_text))
    assert_close(
        layer_mean([clip, clip[..., ::2, ::2]])[:, :, 1],
        layer_mean([frames[1], frames[1][..., ::2, ::2]]),
    )
    shown = heatmaps(
        Reference({1.0: {Attention((2,)): (clip[:, :1],)}}, (8, 8)), (RED,), 1.0, (8, 8)
    )
    alone = heatmaps(
        Reference({1.0: {Attention((2,)): (frames[1][:, :1],)}}, (8, 8)), (RED,), 1.0, (8, 8)
    )
    assert shown.shape == (2 * FRAMES, 1, 8, 8)
    assert torch.equal(shown[[1, FRAMES + 1]], alone)
