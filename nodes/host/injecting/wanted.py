"""What is exchanged between the evaluations of two images at a noise level."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """What is exchanged at a noise level, by names of layers.

    Arguments:
        own: layers whose self-attention is the source's.
        cross: layers whose attention to the prompt is edited.
        seen: layers whose attention to the prompt is looked at.
        features: layers whose features are the source's.
        shared: layers whose keys and values of self-attention are the source's.
        itself: layers of joint attention whose image attends to itself as the source's does.
    """

    own: tuple[str, ...] = ()
    cross: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    itself: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is exchanged or looked at."""
        return any(vars(self).values())

    @property
    def edited(self) -> set[str]:
        """Layers whose attention is edited."""
        return {*self.cross, *self.itself}
