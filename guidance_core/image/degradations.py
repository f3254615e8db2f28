"""What a camera did to an image: linear operators, their composition and their adjoint.

Each takes images (B, C, H, W) to measurements (B, c, h, w), row by row, differentiably. Borders
are mirrored, so that a flat image stays flat.

References:
    Diffusion Posterior Sampling, Chung et al. 2023, arXiv:2209.14687, section 4 (the problems).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from ..process import lengths
from .masks import mask_at

Operator = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Hide:
    """Inpainting and un-cropping: what is missing counts as black.

    Arguments:
        missing: where nothing was measured, shape (H, W) or (B, H, W), values in [0, 1], any
            size; 1 is missing.

    Raises:
        ValueError: another shape, values outside [0, 1], or nothing is left to see.
    """

    missing: Tensor

    def __post_init__(self) -> None:
        if self.missing.ndim not in (2, 3):
            raise ValueError(f"missing must be H x W or B x H x W, got {lengths(self.missing)}")
        if self.missing.min() < 0 or self.missing.max() > 1:
            raise ValueError("missing must have values in [0, 1]")
        if not (self.missing.flatten(-2).amin(-1) < 1).all():
            raise ValueError("everything is missing: leave some of the image to go by")

    def __call__(self, image: Tensor) -> Tensor:
        """What is left, at the size of the image."""
        return image * (1 - mask_at(self.missing, image))[:, None]


@dataclass(frozen=True)
class Shrink:
    """Fewer pixels: super-resolution is its inverse.

    Arguments:
        factor: how many times smaller, >= 1.
        kernel: box (the mean of each square) or bicubic (with antialiasing).

    Raises:
        ValueError: a factor below 1, another kernel, or (when called) an image that the factor
            does not divide.
    """

    factor: int
    kernel: str = "bicubic"

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"factor must be >= 1, got {self.factor}")
        if self.kernel not in ("box", "bicubic"):
            raise ValueError(f"kernel must be box or bicubic, got '{self.kernel}'")

    def __call__(self, image: Tensor) -> Tensor:
        """The small image."""
        height, width = image.shape[-2:]
        if height % self.factor or width % self.factor:
            raise ValueError(
                f"an image of {width}x{height} cannot be shrunk {self.factor} times: "
                "choose a size that the factor divides"
            )
        if self.kernel == "box":
            return avg_pool2d(image, self.factor)
        size = (height // self.factor, width // self.factor)
        return interpolate(image, size, mode="bicubic", antialias=True, align_corners=False)


@dataclass(frozen=True)
class GaussianBlur:
    """A lens out of focus.

    Arguments:
        sigma: standard deviation in pixels, > 0 (published: 3 at 256 pixels).
    """

    sigma: float

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"sigma must be > 0 pixels, got {self.sigma}")

    def __call__(self, image: Tensor) -> Tensor:
        """The blurred image, of the same size."""
        from kornia.filters import get_gaussian_kernel2d

        side = 2 * math.ceil(3 * self.sigma) + 1
        return _filtered(image, get_gaussian_kernel2d((side, side), (self.sigma, self.sigma)))


@dataclass(frozen=True)
class MotionBlur:
    """A camera that moved in a straight line.

    Arguments:
        length: of the line in pixels, odd, >= 3 (published: kernels of 61 at 256 pixels).
        angle: of the line in degrees, anticlockwise, 0 is horizontal.
    """

    length: int
    angle: float = 0.0

    def __post_init__(self) -> None:
        if self.length < 3 or self.length % 2 == 0:
            raise ValueError(f"length must be an odd number of pixels >= 3, got {self.length}")

    def __call__(self, image: Tensor) -> Tensor:
        """The blurred image, of the same size."""
        from kornia.filters import get_motion_kernel2d

        return _filtered(image, get_motion_kernel2d(self.length, self.angle, mode="bilinear"))


def _filtered(image: Tensor, kernel: Tensor) -> Tensor:
    from kornia.filters import filter2d

    side, least = max(kernel.shape[-2:]), min(image.shape[-2:])
    if side // 2 >= least:
        raise ValueError(
            f"a blur {side} pixels wide needs an image of more than {side // 2} pixels, got "
            f"{least}: blur less"
        )
    return filter2d(image, kernel.to(image), border_type="reflect", normalized=True)


@dataclass(frozen=True)
class Grey:
    """A film without colour: the luma of ITU-R BT.601."""

    def __call__(self, image: Tensor) -> Tensor:
        """Brightness, shape (B, 1, H, W)."""
        from kornia.color import rgb_to_grayscale

        return rgb_to_grayscale(image)


@dataclass(frozen=True)
class Compose:
    """Several in a row, the first acting first; none leave the image as it is (denoising)."""

    operators: tuple[Operator, ...] = ()

    def __call__(self, image: Tensor) -> Tensor:
        """What is measured."""
        for operator in self.operators:
            image = operator(image)
        return image


def adjoint(operator: Operator, measured: Tensor, like: Tensor) -> Tensor:
    """The operator's transpose: measurements (B, c, h, w) to images like `like` (B, C, H, W)."""
    with torch.enable_grad():
        leaf = torch.zeros_like(like).requires_grad_()
        (back,) = torch.autograd.grad(operator(leaf), leaf, measured)
    return back
