"""What the energies of a run read from inside the model: when, and to which prompt."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ....guidance_core.attention.references import Reference
from ....guidance_core.captures import Attention, Capture
from ....guidance_core.compose import any_active
from ....guidance_core.requirements import requirements_of, walk
from .recorder import Prompt, Recorder

Cond = dict[str, Any]


class Reading:
    """Reads what the energies that are active want, with the first prompt for the whole picture.

    Arguments:
        rules: rules of the run.
        prompts: its positive conds.

    Raises:
        ValueError: every prompt has an area of its own, or lacks a word.
    """

    def __init__(self, rules: Sequence[Any], prompts: Sequence[Cond] | None) -> None:
        self.rules = rules
        self._recorders: dict[tuple[int, frozenset[Capture]], Recorder] = {}
        self._recorder: Recorder | None = None
        wanted = requirements_of(rules).captures
        if wanted and prompts:
            check_positions(wanted, read_prompt(prompts)["cross_attn"].shape[1])

    def aim(self, network: nn.Module, prompts: Sequence[Cond] | None, sigma: float) -> None:
        """Make ready for an evaluation of the network at a noise level."""
        self.rest()
        working = [rule for rule in self.rules if any_active([rule], sigma)]
        wanted = requirements_of(working).captures
        if not wanted or not prompts:
            return
        key = (id(network), wanted)
        if key not in self._recorders:
            self._recorders[key] = Recorder(network, wanted)
        prompt = read_prompt(prompts, sigma)
        length = prompt["model_conds"]["c_crossattn"].cond.shape[1]
        check_positions(wanted, length)
        self._recorder = self._recorders[key]
        self._recorder.aim(Prompt(prompt["uuid"], length))

    def rest(self) -> None:
        """Read nothing until the next aim."""
        self._recorder = None

    def options(self, options: Cond) -> Cond:
        """Return the host's model options, with attention that can be read."""
        if self._recorder is None:
            return options
        transformer = self._recorder.options(options.get("transformer_options", {}))
        return {**options, "transformer_options": transformer}

    def around(self, x: Tensor, options: Cond) -> contextlib.AbstractContextManager:
        """Read from the evaluation of the network at x that happens inside."""
        if self._recorder is None:
            return contextlib.nullcontext()
        return self._recorder.reading(x, options["uuids"])

    @property
    def values(self) -> Mapping[Capture, tuple[Tensor, ...]]:
        """What was read."""
        return {} if self._recorder is None else self._recorder.values

    def keeps_graph(self, block: nn.Module) -> bool:
        """Whether a block's attention is read, so that its graph must not be recomputed."""
        return self._recorder is not None and any(block is one for one in self._recorder.blocks)


def read_prompt(conds: Iterable[dict[str, Any]], sigma: float | None = None) -> dict[str, Any]:
    """Return the first prompt for the whole picture, at a noise level or at any.

    Raises:
        ValueError: every prompt has an area of its own.
    """
    whole = [cond for cond in conds if cond.get("area") is None]
    if not whole:
        raise ValueError(
            "an energy reads the attention to a prompt for the whole picture, but every positive "
            "prompt has an area: add one without, or give the areas by masks"
        )
    if sigma is None:
        return whole[0]
    inside = lambda cond: (
        cond.get("timestep_end", 0.0) <= sigma <= cond.get("timestep_start", float("inf"))
    )
    return next(filter(inside, whole), whole[0])


def check_positions(requests: Iterable[Capture], length: int) -> None:
    """Refuse positions that the prompt's context does not have."""
    for request in requests:
        last = max(request.positions, default=0) if isinstance(request, Attention) else 0
        if last >= length:
            raise ValueError(
                f"a word stands at position {last}, the positive prompt has {length}: choose the "
                "words from the prompt that the sampler gets"
            )


def check_references(rules: Any, latent: Tensor, prompts: Sequence[Cond] | None) -> None:
    """Refuse references that were recorded at another size, or with a prompt of another length."""
    for reference in (part for part in walk(rules) if isinstance(part, Reference)):
        places = read_prompt(prompts)["cross_attn"].shape[1] if prompts else None
        reference.check(latent, places)
