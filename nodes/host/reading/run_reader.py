"""What the energies of a run read from inside the model: when, and of which prompt."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from ....guidance_core.attention.references import Reference
from ....guidance_core.captures import Attention, Capture
from ....guidance_core.compose import any_active
from ....guidance_core.requirements import requirements_of, walk
from ..autograd.kernels import uncompiled
from .captured import Captured
from .layouts import layout_of
from .prompts import Cond, check_context, context_of, prompt_at
from .transformer_reader import TransformerReader
from .unet_reader import UNetReader

Reader = UNetReader | TransformerReader


class RunReader:
    """Makes a reader for each evaluation of a run, of what the energies active there ask for.

    Arguments:
        rules: rules of the run.
        prompts: its positive conds.

    Raises:
        ValueError: every prompt has an area of its own, or lacks a word.
    """

    def __init__(self, rules: Sequence[Any], prompts: Sequence[Cond] | None) -> None:
        self.rules = rules
        wanted = requirements_of(rules).captures
        if not (wanted and prompts):
            return
        for rule in rules:
            reads = requirements_of([rule]).captures
            _check_positions(reads, check_context(prompts, context_of([rule])) if reads else 0)

    def at(self, network: nn.Module, prompts: Sequence[Cond] | None, sigma: float) -> Reader | None:
        """Return the reader of an evaluation at a noise level; None where nothing is to be read.

        Arguments:
            network: the host's diffusion network.
            prompts: positive conds of the evaluation.
            sigma: its noise level.
        """
        working = [rule for rule in self.rules if any_active([rule], sigma)]
        wanted = requirements_of(working).captures
        if not wanted or not prompts:
            return None
        prompt = prompt_at(prompts, context_of(working), sigma)
        if prompt is None:
            return None
        _check_positions(wanted, len(prompt.places))
        layout = layout_of(network)
        return layout.reader(Captured(layout, wanted, prompt))


@contextlib.contextmanager
def reading(reader: Reader | None, x: Tensor, options: dict[str, Any]) -> Iterator[None]:
    """Read while the network is evaluated at x, which stacks one batch for each uuid in options."""
    if reader is None or not reader.captured.find_rows(x.shape[0], options["uuids"]):
        yield
        return
    with contextlib.ExitStack() as stack:
        for handle in (*reader.hooks(x), *_feature_hooks(reader)):
            stack.callback(handle.remove)
        stack.callback(reader.close)
        stack.enter_context(uncompiled())
        yield


def _feature_hooks(reader: Reader) -> Iterator[Any]:
    def keep(name: str, module: nn.Module, args: tuple, output: Any) -> None:
        reader.captured.keep_features(name, reader.activation(module, output))

    for name, module in reader.captured.features.items():
        yield module.register_forward_hook(partial(keep, name))


def _check_positions(requests: Iterable[Capture], length: int) -> None:
    """Refuse positions that the prompt's context does not have."""
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
    for rule in rules:
        parts = list(walk(rule))
        # Prompts of references whose words are given for themselves may have any length.
        named = [part for part in parts if isinstance(getattr(part, "reference", None), Reference)]
        other = [part.reference for part in named if getattr(part, "source", ())]
        for reference in (part for part in parts if isinstance(part, Reference)):
            free = any(reference is one for one in other)
            same = prompts and not free
            places = check_context(prompts, context_of([rule])) if same else None
            reference.check(latent, places)
