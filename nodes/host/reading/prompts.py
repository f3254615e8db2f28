"""The prompt whose attention is read, and whether words and references fit it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from ....guidance_core.attention.references import Reference
from ....guidance_core.captures import Attention, Capture
from ....guidance_core.requirements import walk

Cond = dict[str, Any]


def read_prompt(conds: Iterable[Cond], sigma: float | None = None) -> Cond:
    """Return the first prompt for the whole image, at a noise level or at any.

    Raises:
        ValueError: every prompt has an area of its own.
    """
    whole = [cond for cond in conds if cond.get("area") is None]
    if not whole:
        raise ValueError(
            "an energy reads the attention to a prompt for the whole image, but every positive "
            "prompt has an area: add one without, or give the areas by masks"
        )
    if sigma is None:
        return whole[0]
    inside = lambda cond: (
        cond.get("timestep_end", 0.0) <= sigma <= cond.get("timestep_start", float("inf"))
    )
    return next(filter(inside, whole), whole[0])


def check_positions(requests: Iterable[Capture], length: int) -> None:
    """Refuse positions that the prompt's context does not have.

    Raises:
        ValueError: a word stands behind the prompt's last position.
    """
    for request in requests:
        last = max(request.positions, default=0) if isinstance(request, Attention) else 0
        if last >= length:
            raise ValueError(
                f"a word stands at position {last}, the positive prompt has {length}: choose the "
                "words from the prompt that the sampler gets"
            )


def check_references(rules: Any, latent: Tensor, prompts: Sequence[Cond] | None) -> None:
    """Refuse references that were recorded at another size, or with a prompt of another length.

    Raises:
        ValueError: a reference does not fit; the message says how to record it.
    """
    for reference in (part for part in walk(rules) if isinstance(part, Reference)):
        places = read_prompt(prompts)["cross_attn"].shape[1] if prompts else None
        reference.check(latent, places)
