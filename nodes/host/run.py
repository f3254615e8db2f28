"""The state of one guided sampling run, from the host's OUTER_SAMPLE to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfy.model_management
import torch
from torch import Tensor

from ...guidance_core.compose import any_active, guided, with_noise_levels
from ...guidance_core.procedures.restart import Standing
from ...guidance_core.run import Run
from ...guidance_core.steering import depth_of, needs_both, needs_graph
from ...guidance_core.types import Estimate
from . import steps
from .autograd import memory
from .autograd.cut import check_slope, noticed
from .autograd.graph import carries_graph
from .autograd.guests import has_guests, normal_on_use
from .autograd.lender import Lender
from .autograd.weights import Loan, normal
from .batch_numbers import batch_numbers
from .caches import switched_off
from .evaluation import Evaluation
from .reading.run_reader import RunReader, reading
from .streams import Streams

KEY = "energy_guidance"
# In the host's transformer options: modules that must keep their graph, and a run without guidance.
WHOLE, UNGUIDED = "energy_guidance_whole", "energy_guidance_unguided"


@contextmanager
def unguided(transformer: dict[str, Any]) -> Iterator[None]:
    """Sample without guidance inside, with these transformer options."""
    transformer[UNGUIDED] = True
    try:
        yield
    finally:
        transformer.pop(UNGUIDED, None)


class GuidedRun:
    """State of one run of a guided model: made when it begins, dropped when it ends.

    Arguments:
        guidance: rules, decoder and traces.
        guider: the host's guider.
        sigmas: noise levels of the run, shape (N,).
        seed: seed of the run.
        sampler: the host's SAMPLER.
        noise: noise that sampling starts from, shape (B, C, *S).
        streams: where that latent lies in what the host samples.

    Raises:
        ValueError: a rule moves the latent after a step, and this sampler's steps do not allow it.
    """

    def __init__(
        self,
        guidance: Any,
        guider: Any,
        sigmas: Tensor,
        seed: int | None,
        sampler: Any,
        noise: Tensor,
        streams: Streams,
    ) -> None:
        self.guidance, self.guider, self.streams = guidance, guider, streams
        self.model_sampling = guider.model_patcher.get_model_object("model_sampling")
        # The latest evaluation of the step that is running; the host's callbacks find it here.
        self.evaluation: Evaluation | None = None
        self.standing = Standing()
        self._alone = False
        self._moves_uncond = steps.noise_from_uncond(sampler)
        self.lender = Lender()
        with torch.inference_mode(False), torch.no_grad():
            percent_to_sigma = self.model_sampling.percent_to_sigma
            at_percent = lambda percent: float(percent_to_sigma(percent))
            self.rules = with_noise_levels(guidance.rules, at_percent, sigmas[:-1].tolist())
            share = steps.share_of(sampler, sigmas, steps.is_flow(self.model_sampling))
            steps.check(self.rules, sampler, share, sigmas)
            alpha = steps.signal_scale(self.model_sampling)
            run = Run(
                *(alpha, normal(sigmas), self._record, seed or 0, share, self._positive_alone),
                batch_numbers(noise, seed),
            )
            self.readers = RunReader(self.rules, guider.conds.get("positive"))
            self._guided = guided(self.rules, self._denoise, run)

    def __deepcopy__(self, memo: dict[int, Any]) -> GuidedRun:
        """The run itself: packs copy the host's options, which hold it, during sampling."""
        return self

    def end(self) -> None:
        """Let go of everything: what a run holds holds the run, and with it guider and MODEL.

        They would stay until garbage is collected, where the host takes the model for leaked, and
        from then on collects garbage whenever it loads anything. Packs that kept the host's options
        find no guidance in them.
        """
        vars(self).clear()
        self.evaluation, self.rules = None, ()

    def _record(self, record: Any) -> None:
        self.standing(record)
        for trace in self.guidance.traces:
            trace(record)

    @contextmanager
    def _positive_alone(self) -> Iterator[None]:
        """Leave out the negative branches inside."""
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
    ) -> Any:
        """Return what the guider predicts, x0 after CFG, guided: x as the host's, sigma (B,)."""
        options = {key: value for key, value in model_options.items() if key != "multigpu_clones"}
        options = switched_off(options)
        self._predict = lambda latent, sigma, evaluation: executor(
            self.streams.joined(latent, x), sigma, evaluation.options(options), seed
        )
        self._options = options
        try:
            with (
                torch.inference_mode(False),
                torch.no_grad(),
                self._guide_weights()(),
                memory.explained("the model"),
            ):
                x = normal(x)
                x0 = self._guided(self.streams.first(x), normal(sigma)).x0.detach()
                if self._moves_uncond:
                    self.evaluation.move_uncond(x0)
                return self.evaluation.predicted(x0)
        finally:
            self.evaluation = None

    def _guide_weights(self) -> Loan:
        """Weights of guide networks and decoder: lent for a whole step, backward included."""
        reader = self.guidance.reader
        networks = [patcher.model for patcher in reader.patchers] if reader is not None else []
        return self.lender.loan(*self.guidance.requirements.networks, *networks)

    def _denoise(self, x: Tensor, sigma: Tensor) -> Estimate:
        """The core's denoiser: one evaluation with CFG, with a graph where x asks for one."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        guests, self._cut_inside = carries_graph(x) and self._has_guests(), False
        self.evaluation = evaluation = Evaluation(
            self,
            positive_alone=self._alone,
            both=needs_both(self.rules, float(sigma[0])),
            depth=depth_of(self.rules, float(sigma[0])),
            guests=guests,
        )
        with normal_on_use(needed=guests):
            predicted = self._predict(x, sigma, evaluation)
        estimate = evaluation.estimate(predicted, sigma, self.guidance.reader)
        if carries_graph(x):
            self._check_slope(estimate)
        return estimate

    def _check_slope(self, estimate: Estimate) -> None:
        """Refuse an estimate without a gradient where the rules take one through the model."""
        through = [rule for rule in self.rules if needs_graph(rule)]
        positive = all(getattr(rule, "look_at", "") == "positive" for rule in through)
        kept = self.evaluation.branches_have_slope
        check_slope(
            estimate.seen("positive" if positive else "cfg"),
            self._options,
            KEY,
            active=self.evaluation.reached or kept,
            inside_model=self._cut_inside,
            behind_model=kept,
        )

    def _has_guests(self) -> bool:
        """Whether other packs take part in this step's evaluations."""
        conds = [part for parts in self.guider.conds.values() for part in parts or ()]
        return has_guests(self._options, conds, self.guider.model_patcher, KEY)

    def forward(self, executor: Any, x: Tensor, options: dict, args: tuple, kwargs: dict) -> Tensor:
        """Run the network at x: read from it, and with a graph where x asks for one.

        Arguments:
            executor: calls the host's model.
            x: shape (B, C, *S).
            options: its transformer options.
            args: further arguments of the model.
            kwargs: further arguments of the model.
        """
        if self.evaluation is not None:
            self.evaluation.reached = True
        reader = None if self.evaluation is None else self.evaluation.reader
        with reading(reader, x, options):
            if not carries_graph(x):
                return executor(x, *args, **kwargs)
            # What is read in a block must keep its graph.
            whole = [] if reader is None else list(reader.captured.attention.values())
            whole += options.get(WHOLE, ())
            guests = self.evaluation is None or self.evaluation.guests
            depth = 1.0 if self.evaluation is None else self.evaluation.depth
            options = {"depth": depth, "guests": guests}
            with noticed(executor.class_obj.diffusion_model, self._on_cut):
                return self.lender.forward(executor, x, args, kwargs, whole, **options)

    def _on_cut(self) -> None:
        self._cut_inside = True
