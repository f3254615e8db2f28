"""Finds the settings of a rule by trying them."""

from __future__ import annotations

import json
from typing import Any

from comfy_api.latest import io, ui

from ...guidance_core.procedures import search_spaces
from ...guidance_core.procedures.beam_search import Trials
from ..host import samplers, tune
from ..host.kept import workflow_key
from ..inputs.faults import image_fault, vae_fault
from ..inputs.rule import SCHEDULE_TIP
from ..inputs.sampling import VAE_TIP, decoder_input, first_seed_input, sampler_inputs
from ..inputs.sockets import Energy, Rule, Schedule, advanced, schema
from .candidates import Candidates, Ranked, candidates_for, recurrences_of
from .tuning_report import plot_of, report_of


def _count(name: str, default: int, most: int, tooltip: str) -> io.Input:
    return io.Int.Input(name, default=default, min=1, max=most, tooltip=tooltip)


class TuneGuidance(io.ComfyNode):
    """Finds the settings of a rule by trying them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGTuneGuidance",
            display_name="Tune Guidance",
            category="guidance/advanced",
            description="Finds good settings of a rule: samples with several settings and seeds, "
            "and keeps the setting whose images an energy rates best. This takes as long as "
            "sampling all of them; after a stop, the next run continues.",
            search_aliases=("beam search", "tuner", "hyperparameters", "tfg", "grid search"),
            is_output_node=True,
            inputs=[*cls._sampling_inputs(), *cls._search_inputs(), *cls._optional_inputs()],
            outputs=[
                Rule.Output(display_name="rule", tooltip="The best rule, for Apply Guidance."),
                io.Int.Output(
                    display_name="recurrences",
                    tooltip="The best number of recurrences, for Recurrent Sampler or KSampler "
                    "(Guided) with end_percent 0.7.",
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="Settings of the best rule and of the best twenty, as JSON.",
                ),
                io.Image.Output(
                    display_name="plot", tooltip="The rating plotted against each setting."
                ),
            ],
            # The workflow says which search this is, so that another one does not take its file.
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def _sampling_inputs(cls) -> list[io.Input]:
        return [
            io.Model.Input("model", tooltip="The diffusion model, before Apply Guidance."),
            io.Conditioning.Input("positive", tooltip="The prompt; it may be empty."),
            io.Conditioning.Input("negative", tooltip="What the image should not show."),
            io.Latent.Input(
                "latent_image",
                tooltip="The latent to start from; the whole batch is sampled with every seed.",
            ),
            Energy.Input("energy", tooltip="What the image should become."),
            first_seed_input(
                "The first seed; the others follow it. Judge the result with other seeds."
            ),
            _count(
                "seeds",
                4,
                1000,
                "How many seeds each setting is tried with: more make the choice safer and take "
                "longer. TFG uses 32 to 64 images.",
            ),
            *sampler_inputs(),
        ]

    @classmethod
    def _search_inputs(cls) -> list[io.Input]:
        return [
            io.Combo.Input(
                "search",
                options=list(search_spaces.KINDS),
                default="strength",
                tooltip="strength: tries strength and end of Rule: Forward. unified: tries rho, "
                "mu and gamma of Rule: Unified, as TFG does; rho alone for energies that read "
                "attention. Both try recurrences too.",
            ),
            _count(
                "width", 2, 100, "Settings kept after each round: more miss less and take longer."
            ),
            _count(
                "rounds",
                4,
                100,
                "Rounds at most; each raises every setting by one step. The search ends earlier "
                "when nothing gets better.",
            ),
            _count(
                "max_recurrences",
                2,
                100,
                "Most recurrences to try; each repeats the cost of sampling. 1 tries none.",
            ),
            io.String.Input(
                "name",
                default="tuning",
                tooltip="Name of the file that keeps all trials, in output/guidance_tuning. A "
                "search that was stopped continues from it; a new name starts again.",
            ),
            advanced(decoder_input()),
        ]

    @classmethod
    def _optional_inputs(cls) -> list[io.Input]:
        return [
            Energy.Input(
                "metric",
                optional=True,
                tooltip="Rates the finished images. Without one, the energy itself rates them; "
                "the energy of another network is a fairer judge.",
            ),
            Schedule.Input("schedule", optional=True, tooltip=f"{SCHEDULE_TIP} Its end is kept."),
            io.Vae.Input("vae", optional=True, tooltip=VAE_TIP),
        ]

    @classmethod
    def validate_inputs(cls, decoder: str | None = None) -> bool | str:
        """Refuse what can neither be decoded nor rated when the workflow is queued."""
        return image_fault("metric", "rates finished images") or vae_fault() or True

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        negative: Any,
        latent_image: dict[str, Any],
        energy: Any,
        seed: int,
        seeds: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        search: str,
        width: int,
        rounds: int,
        max_recurrences: int,
        name: str,
        decoder: str,
        metric: Any = None,
        schedule: Any = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        """Search, trial by trial."""
        widgets = (steps, cfg, sampler_name, scheduler)
        plan = samplers.plan_of(model, positive, negative, *widgets)
        judge = energy if metric is None else metric
        trying = tune.Trying(plan, sampler_name, latent_image, judge, vae, decoder)
        candidates = candidates_for(search, energy, schedule, max_recurrences, width, rounds)
        names = [coordinate.name for coordinate in candidates.search.coordinates]
        facts = {"search": search, "names": names, "sampling": widgets, "decoder": decoder}
        trials = Trials(tune.file_of(name, cls._workflow_key()), facts)
        ranked = candidates.ranked(trying, trials, range(seed, seed + seeds))
        return cls._found(candidates, ranked, f"{tune.FOLDER}/{trials.path.name}")

    @classmethod
    def _workflow_key(cls) -> str:
        hidden = getattr(cls, "hidden", None)
        return workflow_key(getattr(hidden, "prompt", None), getattr(hidden, "unique_id", None))

    @classmethod
    def _found(cls, candidates: Candidates, ranked: Ranked, file: str) -> io.NodeOutput:
        report = report_of(candidates.kind, candidates.search, ranked, file)
        if report["metric"] is None:
            raise ValueError(
                "every setting diverged: try the energy with Rule: Forward at strength 0.1 first"
            )
        image = plot_of(candidates.search, ranked)
        best = report["settings"]
        return io.NodeOutput(
            *(candidates.rule(best), recurrences_of(best), json.dumps(report, indent=1), image),
            ui=ui.PreviewImage(image, cls=cls),
        )
