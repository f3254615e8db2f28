"""The face of a reference.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, section 4.2 (mean
    absolute difference of embeddings, of the face that a detector finds); ArcFace, Deng et al.
    2019, arXiv:1801.07698 (the cosine).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..image.batches import cast_to_weights, check_images, expand_batch
from ..image.clip_views import distance_between
from ..networks.labels import index_of, name_of
from ..process import full_precision
from ..types import Estimate

DISTANCES = ("cosine", "l1")


class FaceEncoder(Protocol):
    """A guide network that embeds faces; embeddings of unit length."""

    input_size: int

    def encode_face(self, image: Tensor, /) -> Tensor:
        """Embeddings (B, D) of faces (B, 3, H, W) in [0, 1]."""
        ...


@dataclass(frozen=True, eq=False)
class FaceIdentity:
    """Distance between the embeddings of the image's face and of a reference's.

    cosine: 1 - cosine, in [0, 2]; l1: mean absolute difference (published). Without a detector, the
    whole image (or the square around the mask) is the face. With one, it is the box found with
    the highest score, widened by `margin`; a sample where none is found has energy 0 and is counted
    as one without effect.

    Arguments:
        network: the face encoder, a module.
        reference: faces (1, 3, h, w) or (B, 3, h, w) in [0, 1], any size.
        distance: cosine or l1.
        detector: finds faces, a module with `detections` and `box_labels`; None is no search.
        label: what the detector calls a face.
        margin: by how much of its size a found box is widened on each side.
        threshold: least score of a box.

    Raises:
        TypeError: another kind of network.
        ValueError: no images, an unknown distance or label; and when called, no face in the
            reference.
    """

    network: FaceEncoder
    reference: Tensor
    distance: str = "cosine"
    detector: Any = None
    label: str = "person"
    margin: float = 0.1
    threshold: float = 0.5
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not hasattr(self.network, "encode_face"):
            raise TypeError(f"a face needs a face encoder, got {name_of(self.network)}")
        check_images(self.reference)
        if self.distance not in DISTANCES:
            raise ValueError(f"distance must be cosine or l1, got '{self.distance}'")
        if self.detector is not None:
            if not hasattr(self.detector, "detections"):
                raise TypeError(f"faces are found by a detector, got {name_of(self.detector)}")
            index_of(self.label, self.detector.box_labels, self.detector)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        image = full_precision(estimate.image)
        if self.detector is None:
            return self._apart(estimate.image_through(self.network.encode_face), self._target)
        boxes = self._boxes(image.detach())
        found = torch.tensor([box is not None for box in boxes], device=image.device)
        estimate.notes.count(self, found)
        nothing = 0 * estimate.x0.flatten(1).sum(1)  # with a graph, whatever was found
        if not found.any():
            return nothing
        target = expand_batch(self._target, image)[found]
        near = self.network.encode_face(self._crops(image, boxes))
        return nothing.to(image).index_add(0, found.nonzero()[:, 0], self._apart(near, target))

    def _apart(self, near: Tensor, far: Tensor) -> Tensor:
        near = full_precision(near)
        if self.distance == "l1":
            return (near - far.to(near)).abs().mean(1)
        return distance_between(near, far, "cosine")

    @cached_property
    def _target(self) -> Tensor:
        """Embeddings of the reference's faces, shape (N, D); computed once."""
        faces = cast_to_weights(self.reference, self.network)
        if self.detector is not None:
            boxes = self._boxes(faces)
            if None in boxes:
                raise ValueError(
                    f"{name_of(self.detector)} finds no '{self.label}' in reference "
                    f"{boxes.index(None)}: crop it to the face and take the detector off"
                )
            faces = self._crops(faces, boxes)
        with torch.no_grad():
            return full_precision(self.network.encode_face(faces))

    def _boxes(self, image: Tensor) -> list[list[int] | None]:
        """Left, top, right, bottom in pixels of each image's best face, None where none is."""
        wanted = index_of(self.label, self.detector.box_labels, self.detector)
        boxes: list[list[int] | None] = []
        for found in self.detector.detections(image):
            good = (found["labels"] == wanted) & (found["scores"] >= self.threshold)
            best = found["boxes"][good][found["scores"][good].argsort(descending=True)[:1]]
            boxes.append(self._widened(best[0], image) if len(best) else None)
        return boxes

    def _widened(self, box: Tensor, image: Tensor) -> list[int]:
        left, top, right, bottom = box.tolist()
        height, width = image.shape[-2:]
        x, y = self.margin * (right - left), self.margin * (bottom - top)
        first = [min(max(int(left - x), 0), width - 1), min(max(int(top - y), 0), height - 1)]
        last = [min(int(right + x) + 1, width), min(int(bottom + y) + 1, height)]
        return [*first, max(last[0], first[0] + 1), max(last[1], first[1] + 1)]

    def _crops(self, image: Tensor, boxes: list[list[int] | None]) -> Tensor:
        """Faces (N, 3, size, size) of those images that have one."""
        size = (self.network.input_size,) * 2
        faces = []
        for sample, box in zip(image, boxes, strict=True):
            if box is not None:
                face = sample[None, :, box[1] : box[3], box[0] : box[2]]
                faces.append(
                    F.interpolate(face, size, mode="bilinear", antialias=True, align_corners=False)
                )
        return torch.cat(faces)
