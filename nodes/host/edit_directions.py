"""Edit directions by the host's text encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...guidance_core.procedures.edit_directions import edit_direction, move_states

POOLED = "pooled_output"


def edited(
    clip: Any, conditioning: Any, source: list[str], target: list[str], strength: float
) -> Any:
    """Return CONDITIONING moved along the direction from the source's to the target's sentences.

    Arguments:
        clip: the host's CLIP.
        conditioning: CONDITIONING of that CLIP.
        source: sentences or words.
        target: as many, or more, or fewer.
        strength: 1 is the whole way.

    Raises:
        ValueError: a side has no sentences, or the CONDITIONING is of another text encoder.
    """
    there, wanted = (_encoded(clip, text) for text in (source, target))
    direction = edit_direction([part[0] for part in there], [part[0] for part in wanted])
    pooled = None
    if all(part[1] is not None for part in (*there, *wanted)):
        # A pooled state is a sentence of one position.
        pooled = edit_direction(*([part[1][:, None] for part in side] for side in (there, wanted)))
    return [_moved(states, rest, direction, pooled, strength) for states, rest in conditioning]


def _encoded(clip: Any, lines: list[str]) -> list[tuple[Tensor, Tensor | None]]:
    """States and pooled state of every line."""
    return [clip.encode_from_tokens(clip.tokenize(line), return_pooled=True) for line in lines]


def _moved(
    states: Tensor, rest: dict[str, Any], direction: Tensor, pooled: Tensor | None, strength: float
) -> list[Any]:
    if states.shape[-1] != direction.shape[-1]:
        raise ValueError(
            f"the conditioning has {states.shape[-1]} channels, this text encoder gives "
            f"{direction.shape[-1]}: connect the CLIP that encoded the prompt"
        )
    rest = dict(rest)
    if pooled is not None and torch.is_tensor(rest.get(POOLED)):
        rest[POOLED] = move_states(rest[POOLED][:, None], pooled, strength)[:, 0]
    return [move_states(states, direction, strength), rest]
