"""Try settings in the host: sample under a rule, and let an energy rate the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ...guidance_core.compose import with_noise_levels
from ...guidance_core.procedures.beam_search import Trial
from ...guidance_core.requirements import is_active, requirements_of
from ...guidance_core.schedules import PercentWindow
from ...guidance_core.types import Estimate
from . import guide, samplers
from .autograd.weights import normal
from .decode import decoder as choose_decoder
from .kept import kept_in
from .networks import managed

FOLDER = "guidance_tuning"
# Noise level of a finished image: a schedule that goes to the end is active here, at 0 none is.
FINISHED = 1e-4
TICKS = 100  # of the progress bar, for each trial


@dataclass(frozen=True, eq=False)
class Trying:
    """How settings are tried.

    Arguments:
        plan: model, unguided, with prompts and noise levels.
        sampler_name: name of a sampler.
        latent: LATENT to start from; its batch is sampled with every seed.
        metric: energy that rates finished images.
        vae: the host's VAE, if any.
        decoder: see `decode.decoder`; "auto" rates finished images by the VAE where there is one.

    Raises:
        ValueError: the metric cannot rate a finished image.
    """

    plan: samplers.Plan
    sampler_name: str
    latent: dict[str, Any]
    metric: Any
    vae: Any = None
    decoder: str = "auto"

    def __post_init__(self) -> None:
        needed = requirements_of([self.metric])
        if needed.not_of_estimate:
            raise ValueError(
                f"a metric rates finished images, but this energy reads {needed.not_of_estimate}: "
                "connect an energy of the image as metric"
            )
        if needed.reads_image and self._reader() is None:
            raise ValueError(
                "the metric looks at the image, but there is no VAE to decode the latent: "
                "connect a VAE, or choose decoder 'taesd' or 'rgb'"
            )
        if not is_active(self._judge(), FINISHED):
            raise ValueError(
                "the metric's schedule ends before the image is finished: connect it unscheduled"
            )

    def value(
        self, rule: Any, seed: int, recurrences: int, window: PercentWindow, callback: Callable
    ) -> float:
        """Return the mean of the metric over the images of one seed, negative: higher is better.

        Not a number where the guidance diverged.
        """
        guided = guide.apply(self.plan.model, [rule], vae=self.vae, decoder=self.decoder)
        what = (replace(self.plan, model=guided), self.sampler_name, seed, self.latent)
        try:
            latent = samplers.sample(*what, recurrences, window, callback=callback)
        except RuntimeError as error:
            if "not finite" not in str(error):
                raise
            return float("nan")
        return -float(self.scores(latent["samples"]).mean())

    def scores(self, samples: Tensor) -> Tensor:
        """The metric (B,) of finished latents (B, C, *S), units of a LATENT."""
        needed, reader = requirements_of([self.metric]), self._reader()
        patchers = [managed(network) for network in needed.networks]
        patchers += reader.patchers if needed.reads_image and reader else []
        comfy.model_management.load_models_gpu(patchers)
        # Outside inference mode: an energy keeps what it computes first, for gradients later on.
        with torch.inference_mode(False), torch.no_grad():
            x0 = self.plan.model.model.process_latent_in(
                normal(samples).to(self.plan.model.load_device)
            )
            sigma = x0.new_full(x0.shape[:1], FINISHED)
            return self._judge()(Estimate(normal(x0), sigma, decode=reader)).float().cpu()

    def _reader(self) -> Any:
        latent_format = self.plan.model.get_model_object("latent_format")
        exact = self.vae is not None
        return choose_decoder(self.decoder, self.vae, latent_format, exact=exact)

    def _judge(self) -> Any:
        to_sigma = self.plan.model.get_model_object("model_sampling").percent_to_sigma
        return with_noise_levels(self.metric, lambda percent: float(to_sigma(percent)))


def measured(
    value: Callable[[Trial, Callable], float], most: int
) -> Callable[[list[Trial]], Iterator[tuple[Trial, float]]]:
    """Measure trials one after another, with a progress bar on the node and the host's cancel.

    Arguments:
        value: value of a trial; its second argument is the callback of the sampler.
        most: how many trials there are at most.
    """
    bar, done = comfy.utils.ProgressBar(most * TICKS), 0

    def step(index: int, x0: Tensor, x: Tensor, total: int) -> None:
        bar.update_absolute(done * TICKS + TICKS * (index + 1) // total)

    def measure(trials: list[Trial]) -> Iterator[tuple[Trial, float]]:
        nonlocal done
        for trial in trials:
            comfy.model_management.throw_exception_if_processing_interrupted()
            yield trial, value(trial, step)
            done += 1

    return measure


def file_of(name: str, key: str) -> Path:
    """Where the trials of a search are kept, under ComfyUI's output folder.

    Arguments:
        name: chosen by the user.
        key: tells searches of different workflows apart.

    Raises:
        ValueError: a name that is more than a name.
    """
    return kept_in(FOLDER, name) / f"{name}-{key}.json"
