"""Boxes and points that move along a video."""

from __future__ import annotations

import pytest
import torch

from guidance_core.attention.keyframes import Keyframes, along
from guidance_core.attention.words import Word
from guidance_core.captures import Attention
from guidance_core.compose import guided
from guidance_core.energies.box import Box
from guidance_core.energies.position import Position
from guidance_core.rules.forward import Forward
from guidance_core.schedules import Constant
from guidance_core.types import Estimate
from tests.core.toys import assert_close, inside, levels, run_with, seeded

WORDS, FRAMES = (Word("red", (2,)), Word("circle", (3, 4))), 5
START, END, MIDDLE = (0.1, 0.2, 0.4, 0.5), (0.5, 0.4, 0.9, 0.8), (0.3, 0.3, 0.65, 0.65)
MOVING = Keyframes(((0.0, START), (1.0, END)))
POINTS = Keyframes(((0.0, (0.1, 0.9)), (1.0, (0.9, 0.1))))


def test_values_move_in_straight_lines_and_stay_outside_of_their_times():
    path = Keyframes(((0.25, (0.0, 1.0)), (0.5, (1.0, 1.0)), (1.0, (0.0, 0.0))))
    assert path.at(0.0) == path.at(0.25) == (0.0, 1.0)
    assert path.at(0.375) == (0.5, 1.0)
    assert path.at(0.75) == (0.5, 0.5)
    assert Keyframes(((0.0, (0.2,)), (0.5, (0.4,)))).at(0.9) == (0.4,)
    assert along(path, 5) == [(0.0, 1.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5), (0.0, 0.0)]
    assert along((0.3, 0.4), 2) == [(0.3, 0.4)] * 2
    assert along(path, 1) == [(0.0, 1.0)]


def maps(energy):
    """Maps of a video, and those of each of its frames, as estimates."""
    values = {
        request: seeded(2, len(request.positions) or 6, *heads(request), FRAMES, 8, 9).sigmoid() / 6
        for request in energy.captures
    }
    x = seeded(2, 4, 8, 9)
    whole = Estimate(x, levels(1.0), captures={request: (v,) for request, v in values.items()})
    frames = [
        Estimate(x, levels(1.0), captures={r: (v[..., i, :, :],) for r, v in values.items()})
        for i in range(FRAMES)
    ]
    return whole, frames


def heads(request):
    return (2,) if request.heads == "each" else ()


@pytest.mark.parametrize(
    "settings", [("layout",), ("boxdiff",), ("layout", "default", 20.0, "each")], ids=str
)
def test_a_box_is_where_it_has_moved_to(settings):
    whole, frames = maps(Box(WORDS, MOVING, *settings))
    boxes = [START, *(MOVING.at(time) for time in (0.25, 0.5, 0.75)), END]
    torch.testing.assert_close(torch.tensor(boxes[2]), torch.tensor(MIDDLE))
    each = [Box(WORDS, box, *settings)(frame) for box, frame in zip(boxes, frames, strict=True)]
    assert_close(Box(WORDS, MOVING, *settings)(whole), torch.stack(each).mean(0))


@pytest.mark.parametrize("measure", ["adapted", "published"])
def test_a_point_is_where_it_has_moved_to(measure):
    whole, frames = maps(Position(WORDS, POINTS, measure=measure))
    times = [i / (FRAMES - 1) for i in range(FRAMES)]
    each = [
        Position(WORDS, POINTS.at(time), measure=measure)(frame)
        for time, frame in zip(times, frames, strict=True)
    ]
    found = Position(WORDS, POINTS, measure=measure)(whole)
    assert_close(found, torch.stack(each).mean(0))


def test_what_stays_is_the_same_at_every_frame():
    still = Keyframes(((0.0, START), (1.0, START)))
    whole, _ = maps(Box(WORDS, START))
    for loss in ("layout", "boxdiff"):
        whole, _ = maps(Box(WORDS, START, loss))
        assert_close(Box(WORDS, still, loss)(whole), Box(WORDS, START, loss)(whole))


def test_an_image_is_the_first_frame():
    _, frames = maps(Box(WORDS, MOVING))
    assert_close(Box(WORDS, MOVING)(frames[3]), Box(WORDS, START)(frames[3]))
    _, frames = maps(Position(WORDS, POINTS))
    assert_close(Position(WORDS, POINTS)(frames[3]), Position(WORDS, (0.1, 0.9))(frames[3]))


def test_boxes_move_along_a_batch_that_stands_for_time():
    request = Attention((2, 3, 4))

    def denoise(x, sigma):
        return Estimate(x, sigma, captures={request: inside(request, x)})

    x, records = seeded(3, 4, 5, 6), []
    moving = Box(WORDS, MOVING, batch_is_video=True)
    guided([Forward(moving, Constant(0.5))], denoise, run_with(records.append))(x, levels(1.0, 3))
    boxes = along(MOVING, 3)
    each = [Box(WORDS, box)(denoise(x[i : i + 1], levels(1.0, 1))) for i, box in enumerate(boxes)]
    assert_close(records[0].energy[:1], torch.stack(each).mean(0))


def test_keyframes_are_checked():
    with pytest.raises(ValueError, match="at least one keyframe"):
        Keyframes(())
    with pytest.raises(ValueError, match=r"times of keyframes must rise, got 0.5, 0.5"):
        Keyframes(((0.5, START), (0.5, END)))
    with pytest.raises(ValueError, match=r"lie in \[0, 1\], .* got 0, 24"):
        Keyframes(((0.0, START), (24.0, END)))
    with pytest.raises(ValueError, match="as many numbers as the others"):
        Keyframes(((0.0, START), (1.0, (0.1, 0.2))))
    with pytest.raises(ValueError, match=r"a box has four edges.* got 2 numbers"):
        Box(WORDS, POINTS)
    with pytest.raises(ValueError, match=r"the box is empty.* got 0.4, 0.2, 0.1, 0.5"):
        Box(WORDS, Keyframes(((0.0, START), (1.0, (0.4, 0.2, 0.1, 0.5)))))
    with pytest.raises(ValueError, match=r"x and y in \[0, 1\], got 0.1, 1.9"):
        Position(WORDS, Keyframes(((0.0, (0.1, 1.9)),)))
