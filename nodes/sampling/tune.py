"""A node that finds a rule's settings by trying them."""

from __future__ import annotations

import json
from typing import Any

from comfy_api.latest import io, ui

from ...guidance_core.procedures import search_spaces
from ...guidance_core.procedures.beam_search import Search, Trials
from ...guidance_core.requirements import requirements_of
from ...guidance_core.rules.forward import Forward
from ...guidance_core.rules.unified import Unified
from ...guidance_core.schedules import PercentWindow, Scaled
from ..host import tune
from ..inputs.rule import DEFAULT_WINDOW, SCHEDULE_TIP, timed
from ..inputs.sampling import VAE_TIP, decoder_input, sampler_inputs
from ..inputs.sockets import Energy, Rule, Schedule, advanced, schema
from .tuning_report import plot_of, report_of


def rule_of(kind: str, energy: Any, settings: dict[str, float], schedule: Any = None) -> Any:
    """The rule that settings are."""
    if kind == "unified":
        return Unified(energy, timed(1.0, schedule), **search_spaces.unified_settings(settings))
    end = settings.get("end", DEFAULT_WINDOW.end_percent)
    window = PercentWindow(0.0, end) if schedule is None else schedule
    return Forward(energy, Scaled(window, settings["strength"]))


class TuneGuidance(io.ComfyNode):
    """Try settings of a rule on a few seeds, and keep the best."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGTuneGuidance",
            display_name="Tune Guidance",
            category="guidance/sampling",
            description="Tries settings of a rule on a few seeds, judges the pictures by an "
            "energy, and gives the best rule. It takes as long as sampling all of them; when "
            "stopped, the next run goes on where it was.",
            search_aliases=("beam search", "tuner", "hyperparameters", "tfg", "grid search"),
            is_output_node=True,
            inputs=[*cls._sampling_inputs(), *cls._search_inputs(), *cls._optional_inputs()],
            outputs=[
                Rule.Output(display_name="rule", tooltip="The best rule, for Apply Guidance."),
                io.Int.Output(
                    display_name="recurrences",
                    tooltip="The best number of recurrences, for Recurrent Sampler or KSampler "
                    "(Guided), up to 70 % of the run.",
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="Settings of the best rule and of the best twenty, as JSON.",
                ),
                io.Image.Output(display_name="plot", tooltip="The metric against each setting."),
            ],
            # The workflow says which search this is, so that another one does not take its file.
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def _sampling_inputs(cls) -> list[io.Input]:
        return [
            io.Model.Input("model", tooltip="The diffusion model, before Apply Guidance."),
            io.Conditioning.Input("positive", tooltip="What the prompt asks for; it may be empty."),
            io.Conditioning.Input("negative", tooltip="What the prompt should avoid."),
            io.Latent.Input(
                "latent_image",
                tooltip="The latent to start from; the whole batch is sampled with every seed.",
            ),
            Energy.Input("energy", tooltip="What the picture should be."),
            io.Int.Input(
                "seed",
                default=0,
                min=0,
                max=0xFFFFFFFFFFFFFF,
                tooltip="First of the seeds. Judge the result with others.",
            ),
            io.Int.Input(
                "seeds",
                default=4,
                min=1,
                max=1000,
                tooltip="How many seeds each setting is tried with. TFG: 32 to 64 pictures.",
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
                tooltip="strength: strength and end of Rule: Forward. unified: rho, mu and gamma "
                "of Rule: Unified, as TFG searches; rho alone for energies that read attention. "
                "Both try recurrences too.",
            ),
            io.Int.Input(
                "width",
                default=2,
                min=1,
                max=100,
                tooltip="Candidates kept after each round. TFG: 2 to 3.",
            ),
            io.Int.Input(
                "rounds",
                default=4,
                min=1,
                max=100,
                tooltip="Rounds at most, each trying every setting one step up; it ends when "
                "nothing gets better. TFG: 6 to 8.",
            ),
            io.Int.Input(
                "max_recurrences",
                default=2,
                min=1,
                max=100,
                tooltip="Most recurrences to try; each costs the run once more, 1 leaves them "
                "out. TFG: 4.",
            ),
            io.String.Input(
                "name",
                default="tuning",
                tooltip="Name of the file with all trials, in output/guidance_tuning. A search "
                "that was stopped goes on from it; a new name starts anew.",
            ),
            advanced(decoder_input()),
        ]

    @classmethod
    def _optional_inputs(cls) -> list[io.Input]:
        return [
            Energy.Input(
                "metric",
                optional=True,
                tooltip="Judges the finished pictures. Without one, the energy itself, which "
                "cannot see what it is blind to: another network is a fairer judge.",
            ),
            Schedule.Input("schedule", optional=True, tooltip=f"{SCHEDULE_TIP} Its end is kept."),
            io.Vae.Input("vae", optional=True, tooltip=VAE_TIP),
        ]

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
        known = search_spaces.coordinates(
            search,
            at_estimate=not requirements_of([energy]).captures,
            recurrences=max_recurrences,
            timed=schedule is not None,
        )
        plan = Search(known, width, rounds)
        widgets = (steps, cfg, sampler_name, scheduler)
        trying = tune.Trying(
            *(model, positive, negative, latent_image, *widgets),
            metric=energy if metric is None else metric,
            vae=vae,
            decoder=decoder,
        )
        hidden = getattr(cls, "hidden", None)
        key = tune.workflow_key(getattr(hidden, "prompt", None), getattr(hidden, "unique_id", None))
        names = [coordinate.name for coordinate in known]
        trials = Trials(
            tune.file_of(name, key),
            {"search": search, "names": names, "sampling": widgets, "decoder": decoder},
        )

        def value(trial: Any, callback: Any) -> float:
            settings = plan.settings_of(trial[0])
            rule = rule_of(search, energy, settings, schedule)
            again = int(settings.get("recurrences", 1))
            return trying.value(rule, trial[1], again, DEFAULT_WINDOW, callback)

        chosen = range(seed, seed + seeds)
        measure = tune.measured(value, plan.most * seeds)
        ranked = plan.run(lambda points: trials.scores(points, chosen, measure))
        report = report_of(search, plan, ranked, f"{tune.FOLDER}/{trials.path.name}")
        if report["metric"] is None:
            raise ValueError(
                "every setting diverged: check the energy with Rule: Forward at strength 0.1 first"
            )
        image = plot_of(plan, ranked)
        return io.NodeOutput(
            rule_of(search, energy, report["settings"], schedule),
            int(report["settings"].get("recurrences", 1)),
            json.dumps(report, indent=1),
            image,
            ui=ui.PreviewImage(image, cls=cls),
        )
