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
from .autograd.kernels import graph_options, torch_attention
from .branches import (
    Branches,
    first_of_each,
    negative_among,
    only_pair,
    reader_of,
    with_borrowed_slopes,
)
from .reading.run_reader import Reader

# Functions of packs that the host calls with the branches of CFG, and with its result.
BEFORE_CFG, AFTER_CFG = "sampler_pre_cfg_function", "sampler_post_cfg_function"


class Evaluation:
    """Evaluates the branches of CFG, and makes an estimate of what they gave.

    The host calls `branches` back, once, or once per piece where a context window cuts the latent.
    Packs call it too, for branches of their own: before CFG, inside it or after it. What CFG is
    given tells which are those of the guider; the others keep their derivative, and nothing more is
    taken from them.

    Arguments:
        run: the guided run.
        positive_alone: whether to leave out the negative branches; they then take the value of the
            first positive one.
        both: whether the negative branches carry a graph too.
        depth: share of the model's blocks that carries it.
        guests: whether other packs take part in it.
    """

    def __init__(
        self,
        run: Any,
        *,
        positive_alone: bool,
        both: bool = False,
        depth: float = 1.0,
        guests: bool,
    ) -> None:
        self.run, self.positive_alone, self.both, self.guests = run, positive_alone, both, guests
        self.depth = depth
        # Of the branches that are evaluated now.
        self.reader: Reader | None = None
        self._calls: list[Branches] = []
        self._pair: tuple[Tensor | None, Tensor | None] | None = None
        self._uncond_of_cfg: Tensor | None = None
        self._others: list[Any] = []
        # Whether the network was evaluated for a positive branch, with a graph or without.
        self.reached = False
        self._with_graph = False

    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the host's model options, with CFG telling what it is given and has used.

        The functions stand first in their lists, before those of other packs.
        """

        def before_cfg(args: dict[str, Any]) -> list[Tensor]:
            return self._given(args["conds_out"], args["conds"])

        def after_cfg(args: dict[str, Any]) -> Tensor:
            denoised: Tensor = args["denoised"]
            self._uncond_of_cfg = None if args["uncond"] is None else args["uncond_denoised"]
            if self._pair is None:
                self._pair = args["cond_denoised"], self._uncond_of_cfg
            return denoised

        self._options: dict[str, Any] | None = {
            **options,
            BEFORE_CFG: [before_cfg, *options.get(BEFORE_CFG, ())],
            AFTER_CFG: [after_cfg, *options.get(AFTER_CFG, ())],
        }
        return self._options

    def _given(self, outputs: list[Tensor], conds: list[Any]) -> list[Tensor]:
        """What CFG is given (x0 of each branch), every negative one with a slope."""
        negative = negative_among(conds, self.run.guider)
        outputs = with_borrowed_slopes(outputs, conds, negative)
        if self._pair is None:
            self._pair = first_of_each(outputs, conds, negative)
        return outputs

    def branches(
        self, executor: Any, model: Any, conds: list, x: Tensor, sigma: Tensor, options: dict
    ) -> list[Tensor]:
        """Return x0 of each branch; the positive ones carry a graph, others where they need one."""
        negative = negative_among(conds, self.run.guider)
        evaluate = partial(executor, model)
        if self._pair is None:
            positive = [
                part
                for cond, flag in zip(conds, negative, strict=True)
                if not flag
                for part in cond or ()
            ]
            self.reader = self.run.readers.at(model.diffusion_model, positive, float(sigma[0]))
        else:
            self.reader = None
        self._with_graph = carries_graph(x)
        if self._with_graph:
            outputs = self._differentiable(evaluate, conds, negative, x, sigma, options)
        else:
            at = lambda some: evaluate(some, x, sigma, self._readable(options))
            outputs = self._plain(at, conds, negative)
        if self._pair is None:
            pair = first_of_each(outputs, conds, negative)
            self._calls.append(Branches(outputs, pair, self.reader, options is self._options))
        return outputs

    def _plain(self, at: Callable, conds: list, negative: list[bool]) -> list[Tensor]:
        """Evaluate without a graph: all branches, or the positive ones alone."""
        there = [cond is not None and not flag for cond, flag in zip(conds, negative, strict=True)]
        if not (self.positive_alone and any(there)):
            outputs: list[Tensor] = at(conds)
            return outputs
        kept = at(only(conds, there))
        return [kept[there.index(True) if flag else i] for i, flag in enumerate(negative)]

    def _differentiable(
        self,
        evaluate: Callable,
        conds: list,
        negative: list[bool],
        x: Tensor,
        sigma: Tensor,
        options: dict,
    ) -> list[Tensor]:
        """Evaluate the negative branches first and without a graph, then the positive ones.

        Where the negative ones need a graph too, all are evaluated at once.
        """
        negative = [flag and not self.both for flag in negative]
        there = [cond is not None and not flag for cond, flag in zip(conds, negative, strict=True)]
        alone = self.positive_alone and any(there)
        others = [None] * len(conds)
        if any(negative) and not alone:
            with torch.no_grad():
                others = evaluate(only(conds, negative), x.detach(), sigma, options)
        positive = normal_conds(only(conds, [not flag for flag in negative]))
        controls = controls_of(positive)
        options = self._readable(graph_options(options, controlled=bool(controls)))
        with self.run.lender.loan(*networks_of(controls))(), torch_attention():
            self.reached = False
            kept = evaluate(positive, x, sigma, options)
        if alone:
            others = [kept[there.index(True)].detach()] * len(conds)
        outputs = [others[i] if flag else kept[i] for i, flag in enumerate(negative)]
        return with_borrowed_slopes(outputs, conds, negative)

    def _readable(self, options: dict[str, Any]) -> dict[str, Any]:
        """The host's model options, with attention that can be read."""
        if self.reader is None:
            return options
        transformer = self.reader.options(options.get("transformer_options", {}))
        return {**options, "transformer_options": transformer}

    def estimate(self, predicted: Any, sigma: Tensor, decode: Any) -> Estimate:
        """Return what this evaluation says, given x0 after CFG (B, C, *S), or a tuple of it first.

        Guiders that inpaint by Langevin steps give a second x0, of another CFG, behind it.
        """
        self.run.lender.check_hooks()
        # They hold this evaluation: what it holds would stay until garbage is collected.
        self._options = None
        whole, *self._others = predicted if isinstance(predicted, tuple) else (predicted,)
        first = self.run.streams.first
        x0, self._whole = first(whole), whole.detach()
        self._x0 = x0.detach()
        if self._pair is None:
            self._pair = only_pair(self._calls)
        reader = reader_of(self._calls, self._pair[0])
        captures = {} if reader is None else reader.captured.values
        return Estimate(x0, sigma, decode, captures, *map(first, self._pair))

    @property
    def branches_have_slope(self) -> bool:
        """Whether a branch of CFG has a slope, or none was asked for."""
        outputs = [x0 for call in self._calls for x0 in call.outputs if isinstance(x0, Tensor)]
        return not self._with_graph or any(x0.requires_grad for x0 in outputs)

    def predicted(self, x0: Tensor) -> Any:
        """What the guider predicts under guidance to x0 (B, C, *S): its other estimates follow."""
        guided = self.run.streams.joined(x0, self._whole)
        step = guided - self._whole
        others = [
            other.detach() + step
            if isinstance(other, Tensor) and other.shape == step.shape
            else other
            for other in self._others
        ]
        return (guided, *others) if others else guided

    def move_uncond(self, x0: Tensor) -> None:
        """Let the unconditional estimate follow the guidance to x0 (B, C, *S).

        CFG++ samplers take the noise of the next latent from there. Left alone, a step of a rule
        would enter the next latent whole, several times as strong as in any other sampler. They
        keep the tensor that CFG used, so it is moved in place.
        """
        if self._uncond_of_cfg is not None:
            step = self.run.streams.joined(x0, self._whole) - self._whole
            self._uncond_of_cfg.detach().add_(step)
