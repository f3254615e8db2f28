"""What nodes of video share: where a video's frames are."""

from __future__ import annotations

from comfy_api.latest import io

from .sockets import advanced

TIMES = ("latent frames", "batch")


def time_input(*, optional: bool = False) -> io.Input:
    """Whether frames are those of a latent, or the samples of the batch."""
    return io.Combo.Input(
        "time",
        options=list(TIMES),
        default=TIMES[0],
        optional=optional,
        tooltip="Where the frames are. latent frames: in one latent, as models of video have them "
        "(Wan, LTX, HunyuanVideo). batch: the images of the batch are one video (SVD, "
        "AnimateDiff): all energies of this rule then see one video, and the rule moves "
        "it as a whole.",
    )


def look_input(tip: str) -> io.Input:
    """Whether frames are compared as latents or as images."""
    return io.Combo.Input(
        "look",
        options=["latent", "image"],
        default="latent",
        tooltip=f"What is compared. latent: needs no VAE and costs next to nothing. image: {tip}",
    )


def every_nth_input() -> io.Input:
    """Which frames are compared."""
    return advanced(
        io.Int.Input(
            "every",
            default=1,
            min=1,
            max=1000,
            tooltip="Compares every n-th latent frame, and the last: 1 is all of them; higher "
            "costs less where images are compared.",
        )
    )


def is_batch(time: str) -> bool:
    """Whether the batch is one video."""
    return time == "batch"
