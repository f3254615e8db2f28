"""One evaluation of the model inside a guided step: what the host's callbacks see of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...guidance_core.types import Estimate
from .autograd.conds import controls_of, networks_of, normal_conds, only
from .autograd.graph import carries_graph
from .autograd.lender import Lender
from .branches import first_of_each, graph_options, negative_among, with_borrowed_slopes
from .reading.run_reader import Reader, RunReader


class Evaluation:
    """Evaluates the branches of CFG, and makes an estimate of what they gave.

    The host calls `branches` back, once, or once per piece where a context window cuts the latent.

    Arguments:
        guider: the host's guider.
        run_reader: makes what reads attention and features.
        lender: lends weights that autograd may save.
        positive_alone: whether to leave out the negative branches; they then take the value of the
            first positive one.
    """

    def __init__(
        self, guider: Any, run_reader: RunReader, lender: Lender, *, positive_alone: bool
    ) -> None:
        self.guider, self.run_reader, self.lender = guider, run_reader, lender
        self.positive_alone = positive_alone
        self.reader: Reader | None = None
        self._pieces: list[tuple[Tensor | None, Tensor | None]] = []

    def branches(
        self, executor: Any, model: Any, conds: list, x: Tensor, sigma: Tensor, options: dict
    ) -> list[Tensor]:
        """Return x0 of each branch; only the positive ones carry a graph."""
        negative = negative_among(conds, self.guider)
        evaluate = partial(executor, model)
        positive = [cond for cond, flag in zip(conds, negative, strict=True) if cond and not flag]
        self.reader = self.run_reader.at(
            model.diffusion_model, next(iter(positive), None), float(sigma[0])
        )
        if carries_graph(x):
            outputs = self._differentiable(evaluate, conds, negative, x, sigma, options)
        else:
            outputs = evaluate(conds, x, sigma, self._readable(options))
        self._pieces.append(first_of_each(outputs, conds, negative))
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
        options = self._readable(graph_options(options, controlled=bool(controls)))
        with self.lender.loan(*networks_of(controls))():
            kept = evaluate(positive, x, sigma, options)
        if alone:
            others = [kept[negative.index(False)].detach()] * len(conds)
        outputs = [others[i] if flag else kept[i] for i, flag in enumerate(negative)]
        return with_borrowed_slopes(outputs, negative)

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
