"""What guide networks are shown: squares of the image, and the box of a face."""

from __future__ import annotations

import pytest
import torch

from guidance_core.energies.face_identity import FaceIdentity
from guidance_core.image.clip_views import Cutouts
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, TinyFace, assert_close, levels, seeded


class Watching:
    """Keeps what it is shown."""

    name = "watching"

    def __init__(self, input_size: int = 8) -> None:
        self.input_size, self.seen = input_size, []

    def encode_image(self, image):
        self.seen.append(image)
        return image.mean((2, 3))


def coordinates(height: int, width: int) -> torch.Tensor:
    """An image whose first two channels are x and y of each pixel's centre."""
    x = (torch.arange(width, dtype=DOUBLE) + 0.5).expand(height, width)
    y = (torch.arange(height, dtype=DOUBLE) + 0.5)[:, None].expand(height, width)
    return torch.stack([x, y, 0 * x])[None]


def squares(height: int, width: int, least: float, count: int = 60) -> torch.Tensor:
    """Left, top and side of many cutouts, by what is seen at their corners (N, 3)."""
    network = Watching(4)
    Cutouts(network, count, False, least, 0)(coordinates(height, width))
    found = []
    for view in network.seen:
        x, y = view[0, 0].mean(0), view[0, 1].mean(1)
        side = float(x[-1] - x[0]) / 3 * 4
        assert float(y[-1] - y[0]) / 3 * 4 == pytest.approx(side, rel=0.1, abs=0.5)
        found.append([float(x.mean()) - side / 2, float(y.mean()) - side / 2, side])
    return torch.tensor(found)


@pytest.mark.parametrize(("height", "width"), [(60, 100), (100, 60)])
def test_cutouts_are_squares_between_the_least_and_the_shorter_side_all_over(height, width):
    left, top, side = squares(height, width, 0.4).T
    assert 23 < float(side.min()) < 30
    assert 54 < float(side.max()) < 61
    assert float(left.min()) > -1.5
    assert float(top.min()) > -1.5
    assert float((left + side).max()) < width + 1.5
    assert float((top + side).max()) < height + 1.5
    # They reach near every edge.
    assert float(left.min()) < 0.1 * width
    assert float(top.min()) < 0.1 * height
    assert float((left + side).max()) > 0.9 * width
    assert float((top + side).max()) > 0.9 * height


def test_cutouts_of_least_one_are_as_high_as_a_wide_image():
    left, top, side = squares(40, 100, 1.0).T
    assert float((side - 40).abs().max()) < 2
    assert float(top.abs().max()) < 2
    assert float(left.max()) > 50


def test_augmentation_tints_a_flat_grey_by_a_little():
    """Brightness is multiplied by up to a twentieth, contrast hardly counts."""
    network = Watching()
    Cutouts(network, 60, True, 0.5, 0)(torch.full((1, 3, 32, 32), 0.5, dtype=DOUBLE))
    values = torch.stack([view[0, 0, 4, 4] for view in network.seen])
    assert 0.47 < float(values.min()) < 0.48
    assert 0.52 < float(values.max()) < 0.53


def test_augmentation_tilts_and_shifts_by_a_little_and_all_samples_alike():
    network = Watching(64)
    ramp = coordinates(64, 64) / 64
    Cutouts(network, 30, True, 1.0, 0)(ramp.expand(2, -1, -1, -1))
    for view in network.seen:
        assert_close(view[0], view[1])
    plain = Watching(64)
    Cutouts(plain, 1, False, 1.0, 0)(ramp)
    moved = [(view - plain.seen[0])[0, :2, 32, 32].abs().max() for view in network.seen]
    # A twentieth of the side, a few parts more by the perspective, a tenth by the tint.
    assert 0.01 < float(torch.stack(moved).median()) < 0.1


class Finder:
    """A detector that finds the same boxes in every image."""

    name, box_labels = "finder", ("background", "face", "cat")

    def __init__(self, *found: tuple[tuple[float, ...], int, float]) -> None:
        self.all = found

    def detections(self, image):
        boxes, labels, scores = zip(*self.all, strict=True)
        one = {
            "boxes": torch.tensor(boxes),
            "labels": torch.tensor(labels),
            "scores": torch.tensor(scores),
        }
        return [one] * len(image)


class WatchingFace(TinyFace):
    def __init__(self) -> None:
        super().__init__()
        self.seen = []

    def encode_face(self, image):
        self.seen.append(image)
        return super().encode_face(image)


IMAGE = seeded(1, 3, 12, 16, seed=5).sigmoid()


def faces_in(*found, **options) -> list[torch.Tensor]:
    """Each face that the encoder is shown, that of the reference last."""
    network = WatchingFace()
    energy = FaceIdentity(network, IMAGE, "cosine", Finder(*found), "face", **options)
    energy(Estimate(IMAGE, levels(1.0, 1), lambda x0: x0))
    return network.seen


def crop(top: int, bottom: int, left: int, right: int) -> torch.Tensor:
    part = IMAGE[..., top:bottom, left:right]
    return torch.nn.functional.interpolate(part, (6, 6), mode="bilinear", antialias=True)


@pytest.mark.parametrize(
    ("box", "margin", "pixels"),
    [
        ((3.2, 1.4, 9.7, 6.1), 0.0, (1, 7, 3, 10)),
        ((4.0, 3.5, 9.0, 8.5), 0.1, (3, 10, 3, 10)),  # by half a pixel on every side
        ((6.0, 4.0, 10.0, 6.0), 0.5, (3, 8, 4, 13)),  # by 2 across, 1 down
        ((-3.0, -2.0, 30.0, 20.0), 0.1, (0, 12, 0, 16)),  # no further than the image
        ((14.5, 10.2, 15.8, 11.9), 0.0, (10, 12, 14, 16)),
        ((20.0, 15.0, 25.0, 18.0), 0.0, (11, 12, 15, 16)),  # beyond it: the last pixel
    ],
)
def test_a_face_is_its_box_and_a_margin_of_its_size(box, margin, pixels):
    for face in faces_in((box, 1, 0.9), margin=margin):
        assert_close(face, crop(*pixels))


def test_the_best_face_above_the_threshold_is_taken():
    low, best, cat = (0.0, 0.0, 4.0, 4.0), (4.0, 2.0, 8.0, 10.0), (8.0, 0.0, 12.0, 4.0)
    found = (low, 1, 0.6), (best, 1, 0.7), (cat, 2, 0.9)
    assert_close(faces_in(*found, margin=0.0)[0], crop(2, 11, 4, 9))
    assert_close(faces_in((low, 1, 0.5), margin=0.0)[0], crop(0, 5, 0, 5))
    assert faces_in((low, 1, 0.499), found[2]) == []


def test_distances_between_faces_are_the_published_mean_difference_and_the_cosine():
    near, far = TinyFace().encode_face(IMAGE), TinyFace().encode_face(1 - IMAGE)
    estimate = Estimate(IMAGE, levels(1.0, 1), lambda x0: x0)
    for distance, expected in (
        ("l1", (near - far).abs().mean(1)),
        ("cosine", 1 - torch.cosine_similarity(near, far)),
    ):
        assert_close(FaceIdentity(TinyFace(), 1 - IMAGE, distance)(estimate), expected)
