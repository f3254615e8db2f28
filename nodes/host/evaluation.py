"""One evaluation of the model inside a guided step: what the host's callbacks see of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...guidance_core.types import Estimate
from .autograd.conds import controls_of, networks_of, normal_conds, only
from .autograd.graph import OVERRIDE, carries_graph, differentiable_attention
from .reading.run_reader import Reader

# The host adds ControlNet's output to skip connections in place: they must not be what the next
# block has saved for its backward pass.
AFTER_SKIP = "input_block_patch_after_skip"


class Evaluation:
    """Evaluates the branches of CFG, and makes an estimate of what they gave.

    The host calls `branches` back, once, or once per piece where a context window cuts the latent.

    Arguments:
        run: the guided run.
        positive_alone: whether to leave out the negative branches; they then take the value of the
            first positive one.
    """

    def __init__(self, run: Any, *, positive_alone: bool) -> None:
        self.run, self.positive_alone = run, positive_alone
        self.reader: Reader | None = None
        self._pieces: list[tuple[Tensor | None, Tensor | None]] = []

    def branches(
        self, executor: Any, model: Any, conds: list, x: Tensor, sigma: Tensor, options: dict
    ) -> list[Tensor]:
        """Return x0 of each branch; only the positive ones carry a graph."""
        negative = _negative_among(conds, self.run.guider)
        evaluate = partial(executor, model)
        positive = [cond for cond, flag in zip(conds, negative, strict=True) if cond and not flag]
        self.reader = self.run.readers.at(
            model.diffusion_model, next(iter(positive), None), float(sigma[0])
        )
        if carries_graph(x):
            outputs = self._differentiable(evaluate, conds, negative, x, sigma, options)
        else:
            outputs = evaluate(conds, x, sigma, self._readable(options))
        self._pieces.append(_first_of_each(outputs, conds, negative))
        return outputs

    def _differentiable(
        self,
        evaluate: Callable,
        conds: list,
        negative: list[bool],
        x: Tensor,
        sigma: Tensor,
        options: dict,
    ) -> list[Tensor]:
        """Evaluate the negative branches first and without a graph, then the positive ones."""
        alone = self.positive_alone and not all(negative)
        others = [None] * len(conds)
        if any(negative) and not alone:
            with torch.no_grad():
                others = evaluate(only(conds, negative), x.detach(), sigma, options)
        positive = normal_conds(only(conds, [not flag for flag in negative]))
        controls = controls_of(positive)
        options = self._readable(_graph_options(options, controlled=bool(controls)))
        with self.run.lender.loan(*networks_of(controls))():
            kept = evaluate(positive, x, sigma, options)
        if alone:
            others = [kept[negative.index(False)].detach()] * len(conds)
        outputs = [others[i] if flag else kept[i] for i, flag in enumerate(negative)]
        return _with_borrowed_slopes(outputs, negative)

    def _readable(self, options: dict[str, Any]) -> dict[str, Any]:
        """The host's model options, with attention that can be read."""
        if self.reader is None:
            return options
        transformer = self.reader.options(options.get("transformer_options", {}))
        return {**options, "transformer_options": transformer}

    @property
    def _pair(self) -> tuple[Tensor | None, Tensor | None]:
        """x0 of the positive and the negative branch; None where pieces were evaluated apart."""
        return self._pieces[0] if len(self._pieces) == 1 else (None, None)

    def estimate(self, x0: Tensor, sigma: Tensor, decode: Any) -> Estimate:
        """Return what this evaluation says, given x0 after CFG (B, C, *S)."""
        self._x0 = x0.detach()
        captures = {} if self.reader is None else self.reader.captured.values
        return Estimate(x0, sigma, decode, captures, *self._pair)

    def move_uncond(self, x0: Tensor) -> None:
        """Let the unconditional estimate follow the guidance to x0 (B, C, *S).

        CFG++ samplers take the noise of the next latent from there. Left alone, a step of a rule
        would enter the next latent whole, several times as strong as in any other sampler. They
        keep the tensor that the branch gave, so it is moved in place.
        """
        uncond = self._pair[1]
        if uncond is not None:
            uncond.detach().add_(x0 - self._x0)


def _negative_among(conds: Sequence[Any], guider: Any) -> list[bool]:
    """Which branches are negative; the last of two where the guider does not tell."""
    known = [cond for name, cond in guider.conds.items() if "negative" in name]
    flags = [any(cond is one for one in known) for cond in conds]
    return flags if any(flags) or len(conds) != 2 else [False, conds[1] is not None]


def _first_of_each(
    outputs: list[Tensor], conds: list[Any], negative: list[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """x0 of the first positive and the first negative branch; None where none is."""
    there = [i for i, cond in enumerate(conds) if cond is not None]
    positive = next((outputs[i] for i in there if not negative[i]), None)
    return positive, next((outputs[i] for i in there if negative[i]), None)


def _with_borrowed_slopes(outputs: list[Tensor], negative: list[bool]) -> list[Tensor]:
    """Give negative branches the derivative of the first positive one, not its value.

    The derivative of CFG's result is then that of the positive branch, whatever its scale. With
    constants in their place it would be cfg times that.
    """
    source = next((x0 for x0, flag in zip(outputs, negative, strict=True) if not flag), None)
    if source is None:
        return outputs
    slope = source - source.detach()
    return [x0 + slope if flag else x0 for x0, flag in zip(outputs, negative, strict=True)]


def _graph_options(options: dict[str, Any], *, controlled: bool) -> dict[str, Any]:
    """The host's model options for branches that carry a graph; controlled ones: by ControlNets."""
    transformer = dict(options.get("transformer_options", {}))
    transformer[OVERRIDE] = differentiable_attention(transformer.get(OVERRIDE))
    if controlled:
        patches = transformer.get("patches", {})
        after = [*patches.get(AFTER_SKIP, ()), lambda h, extra: h.clone()]
        transformer["patches"] = {**patches, AFTER_SKIP: after}
    return {**options, "transformer_options": transformer}
