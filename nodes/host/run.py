"""The state of one guided sampling run, from the host's OUTER_SAMPLE to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfy.model_management
import comfy.model_sampling
import torch
from torch import Tensor, nn

from ...guidance_core.compose import any_active, guided, with_noise_levels
from ...guidance_core.types import Estimate, Run
from . import steps
from .autograd import memory
from .autograd.conds import controls_of, networks_of, normal_conds, only
from .autograd.graph import OVERRIDE, carries_graph, differentiable, differentiable_attention
from .autograd.recompute import blocks_of, recomputed
from .autograd.weights import Loan, normal
from .reading.reading import Reading

KEY = "energy_guidance"
# The host adds ControlNet's output to skip connections in place: they must not be what the next
# block has saved for its backward pass.
AFTER_SKIP = "input_block_patch_after_skip"


def signal_scale(model_sampling: Any) -> Any:
    """Return alpha(sigma) of x = alpha * x0 + sigma * noise: 1 - sigma for flows, else 1."""
    if isinstance(model_sampling, comfy.model_sampling.CONST):
        return lambda sigma: 1 - sigma
    return torch.ones_like


class GuidedRun:
    """What one run of a guided model needs, made when it begins, forgotten when it ends.

    Arguments:
        guidance: rules, decoder and traces.
        guider: the host's guider.
        sigmas: noise levels of the run, shape (N,).
        seed: seed of the run.
        sampler: the host's SAMPLER.

    Raises:
        ValueError: a rule follows the sampler's step, and this sampler has no such thing.
    """

    def __init__(
        self, guidance: Any, guider: Any, sigmas: Tensor, seed: int | None, sampler: Any
    ) -> None:
        self.guidance, self.guider = guidance, guider
        self.model_sampling = guider.model_patcher.get_model_object("model_sampling")
        self.stepping = False
        self._alone = False
        self._moves_uncond = steps.noise_from_uncond(sampler)
        self._loans: dict[tuple[int, ...], Loan] = {}
        self._twice: dict[torch.Size, list[nn.Module]] = {}
        self._branches: list[tuple[Tensor | None, Tensor | None]] = []
        with torch.inference_mode(False), torch.no_grad():
            percent_to_sigma = self.model_sampling.percent_to_sigma
            rules = with_noise_levels(guidance.rules, lambda p: float(percent_to_sigma(p)))
            flow = isinstance(self.model_sampling, comfy.model_sampling.CONST)
            share = steps.share_of(sampler, sigmas, flow)
            steps.check(rules, sampler, share)
            alpha = signal_scale(self.model_sampling)
            run = Run(alpha, normal(sigmas), self._record, seed or 0, share, self._positive_alone)
            self.rules = rules
            self.reading = Reading(rules, guider.conds.get("positive"))
            self._guided = guided(rules, self._denoise, run)

    def _record(self, record: Any) -> None:
        for trace in self.guidance.traces:
            trace(record)

    @contextmanager
    def _positive_alone(self) -> Iterator[None]:
        """Leave out the negative branches inside; they take the value of the positive one."""
        self._alone = True
        try:
            yield
        finally:
            self._alone = False

    def active(self, sigma: Tensor) -> bool:
        """Whether any rule has work at this noise level."""
        return any_active(self.rules, float(sigma.flatten()[0]))

    def step(
        self, executor: Any, x: Tensor, sigma: Tensor, model_options: dict, seed: Any = None
    ) -> Tensor:
        """Return x0 after CFG and guidance, for x (B, C, *S) and sigma (B,)."""
        options = {key: value for key, value in model_options.items() if key != "multigpu_clones"}
        self._predict = lambda x, sigma: executor(x, sigma, options, seed)
        self.stepping = True
        try:
            with (
                torch.inference_mode(False),
                torch.no_grad(),
                self._guides()(),
                memory.explained("the model"),
            ):
                x0 = self._guided(normal(x), normal(sigma)).x0.detach()
                self._move_uncond(x0)
                return x0
        finally:
            self.stepping = False
            self._branches = []
            self.reading.rest()

    def _move_uncond(self, x0: Tensor) -> None:
        """Let the unconditional estimate follow the guidance, where the sampler reads it.

        CFG++ samplers take the noise of the next latent from there. Left alone, a push would enter
        the next latent whole, several times as strong as in any other sampler. They keep the very
        tensor that the branch gave, so it is moved in place.
        """
        uncond = self._branches[0][1] if len(self._branches) == 1 else None
        if self._moves_uncond and uncond is not None:
            uncond.detach().add_(x0 - self._unguided)

    def _guides(self) -> Loan:
        """Weights of guide networks and decoder: lent for a whole step, backward included."""
        reader = self.guidance.reader
        networks = [patcher.model for patcher in reader.patchers] if reader is not None else []
        return self._loan(*self.guidance.requirements.networks, *networks)

    def _loan(self, *roots: nn.Module) -> Loan:
        key = tuple(map(id, roots))
        return self._loans.setdefault(key, Loan(*roots))

    def _denoise(self, x: Tensor, sigma: Tensor) -> Estimate:
        """The core's denoiser: one evaluation with CFG, with a graph where x asks for one."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        self._branches = []
        x0 = self._predict(x, sigma)
        self._unguided = x0.detach()
        # Context windows evaluate piece by piece: then there is no estimate of a whole branch.
        cond, uncond = self._branches[0] if len(self._branches) == 1 else (None, None)
        return Estimate(x0, sigma, self.guidance.reader, self.reading.values, cond, uncond)

    def branches(
        self, executor: Any, model: Any, conds: list, x: Tensor, sigma: Tensor, options: dict
    ) -> list[Tensor]:
        """Evaluate the branches of CFG, the negative ones first and without a graph."""
        negative = self._negative(conds)
        positive = [cond for cond, flag in zip(conds, negative, strict=True) if cond and not flag]
        self.reading.aim(model.diffusion_model, next(iter(positive), None), float(sigma[0]))
        if not carries_graph(x):
            options = self.reading.options(options)
            return self._noted(executor(model, conds, x, sigma, options), conds, negative)
        without = [None] * len(conds)
        alone = self._alone and not all(negative)
        if any(negative) and not alone:
            with torch.no_grad():
                without = executor(model, only(conds, negative), x.detach(), sigma, options)
        positive = normal_conds(only(conds, [not flag for flag in negative]))
        controls = controls_of(positive)
        options = self.reading.options(self._graph_options(options, bool(controls)))
        with self._loan(*networks_of(controls))():
            kept = executor(model, positive, x, sigma, options)
        if alone:
            without = [kept[negative.index(False)].detach()] * len(conds)
        out = [without[i] if flag else kept[i] for i, flag in enumerate(negative)]
        out = self._with_borrowed_slopes(out, negative)
        return self._noted(out, conds, negative)

    def _with_borrowed_slopes(self, out: list[Tensor], negative: list[bool]) -> list[Tensor]:
        """Give negative branches the derivative of the first positive one, not its value.

        The derivative of CFG's result is then that of the positive branch, whatever its scale. With
        constants in their place it would be cfg times that.
        """
        source = next((x0 for x0, flag in zip(out, negative, strict=True) if not flag), None)
        if source is None:
            return out
        slope = source - source.detach()
        return [x0 + slope if flag else x0 for x0, flag in zip(out, negative, strict=True)]

    def _noted(self, out: list[Tensor], conds: list[Any], negative: list[bool]) -> list[Tensor]:
        """Note what the first branch of either kind gave, for the estimate."""
        there = [i for i, cond in enumerate(conds) if cond is not None]
        cond = next((out[i] for i in there if not negative[i]), None)
        uncond = next((out[i] for i in there if negative[i]), None)
        self._branches.append((cond, uncond))
        return out

    def _negative(self, conds: list[Any]) -> list[bool]:
        """Which branches are negative ones; the last of two where the guider does not tell."""
        known = [cond for name, cond in self.guider.conds.items() if "negative" in name]
        flags = [any(cond is one for one in known) for cond in conds]
        return flags if any(flags) or len(conds) != 2 else [False, conds[1] is not None]

    def _graph_options(self, options: dict, controlled: bool) -> dict:
        """The options of a branch that carries a graph: PyTorch's attention, skips kept apart."""
        transformer = dict(options.get("transformer_options", {}))
        transformer[OVERRIDE] = differentiable_attention(transformer.get(OVERRIDE))
        if controlled:
            patches = transformer.get("patches", {})
            after = [*patches.get(AFTER_SKIP, ()), lambda h, extra: h.clone()]
            transformer["patches"] = {**patches, AFTER_SKIP: after}
        return {**options, "transformer_options": transformer}

    def _recomputed_blocks(self, model: Any, x: Tensor) -> list[nn.Module]:
        """Blocks to compute twice; decided at the first evaluation of each shape.

        Not those whose attention is read: what is read in them must keep its graph.
        """
        if x.shape not in self._twice:
            short = memory.is_short_of(memory.graph_bytes(model, x.shape), x.device)
            self._twice[x.shape] = blocks_of(model.diffusion_model) if short else []
        return [block for block in self._twice[x.shape] if not self.reading.keeps_graph(block)]

    def forward(self, executor: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Run the network with weights that autograd may save."""
        model = executor.class_obj
        # The options are left as they are: other packs keep state in them.
        args = tuple(
            arg if isinstance(arg, dict) and OVERRIDE in arg else normal(arg) for arg in args
        )
        kwargs = {
            name: arg if name == "transformer_options" else normal(arg)
            for name, arg in kwargs.items()
        }
        network, loan = model.diffusion_model, self._loan(model)
        context = lambda: differentiable(network, loan)
        with context(), recomputed(self._recomputed_blocks(model, x), context):
            return executor(x, *args, **kwargs)
