"""Optimises the noise that sampling begins from, so that the first look obeys an energy."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.procedures.initial_noise import MOVES, Found, NoiseSearch
from ..host import samplers
from ..host.browser.note import note
from ..host.initial_noise import Order, noise_of, noisy_latent, sought
from ..inputs.sampling import VAE_TIP, negative_input, sampler_inputs, seed_input
from ..inputs.sockets import Energy, advanced, schema


class InitialNoise(io.ComfyNode):
    """Optimises the noise that sampling begins from, so that the first look obeys an energy."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGInitialNoise",
            display_name="Optimise Initial Noise",
            category="guidance/advanced",
            description="Optimises the noise that sampling begins from, so that the model's first "
            "look already has a low energy: for objects that are missing or mixed up. The noise "
            "stays white; the sampling itself costs nothing more.",
            search_aliases=("initno", "initial noise", "noise search", "golden noise", "best seed"),
            inputs=[*cls._what(), *cls._how(), *cls._ahead()],
            outputs=[
                io.Noise.Output(
                    tooltip="The noise, for SamplerCustomAdvanced with the same latent; for every "
                    "family of models."
                ),
                io.Latent.Output(
                    tooltip="The noisy latent, for KSampler (Advanced) with add_noise disabled. "
                    "Flow models need the noise output instead."
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="The energy of each image's noise, before and after.",
                ),
            ],
        )

    @classmethod
    def _what(cls) -> list[io.Input]:
        return [
            io.Model.Input("model", tooltip="The diffusion model."),
            io.Conditioning.Input("positive", tooltip="The prompt that will be sampled."),
            Energy.Input(
                "energy",
                tooltip="What the first look should show; mostly an energy of attention, such as "
                "that of Fix Missing Objects, or Presence.",
            ),
            io.Latent.Input("latent_image", tooltip="The latent that will be sampled."),
            seed_input("Seed of the first draw: the noise that a sampler makes of this seed."),
        ]

    @classmethod
    def _how(cls) -> list[io.Input]:
        return [
            io.Int.Input(
                "rounds",
                default=5,
                min=1,
                max=1000,
                tooltip="Draws at most for each image: where one does not reach the threshold, "
                "another is tried, and the best is kept. 1 keeps to the seed.",
            ),
            io.Int.Input(
                "iterations",
                default=10,
                min=0,
                max=1000,
                tooltip="Moves of each draw at most; each costs one evaluation and backward pass "
                "of the positive prompt. 0 only chooses among the draws, which is cheaper.",
            ),
            io.Float.Input(
                "threshold",
                default=0.2,
                min=-1000.0,
                max=1000.0,
                step=0.01,
                round=0.00001,
                tooltip="Energy at which the noise of an image counts as done. Lower tries "
                "longer; the report shows the energies.",
            ),
            *cls._moves(),
            io.Vae.Input("vae", optional=True, tooltip=VAE_TIP),
        ]

    @classmethod
    def _moves(cls) -> list[io.Input]:
        return [
            advanced(
                io.Combo.Input(
                    "moves",
                    options=list(MOVES),
                    default=MOVES[0],
                    tooltip="What is moved. mean and variance: of the noise at each place, as "
                    "InitNO does. noise: the noise itself, which keeps its mean and variance.",
                )
            ),
            advanced(
                io.Float.Input(
                    "divergence",
                    default=0.001,
                    min=0.0,
                    max=1.0,
                    step=0.0005,
                    round=0.00001,
                    tooltip="How far the noise may move from white noise, as the Kullback-Leibler "
                    "divergence a value, in nats. Higher follows the energy more, and is less "
                    "like what the model knows as noise.",
                )
            ),
            advanced(
                io.Float.Input(
                    "rate",
                    default=0.01,
                    min=0.0001,
                    max=1.0,
                    step=0.001,
                    round=0.0001,
                    tooltip="Size of a move, that of Adam. Higher needs fewer iterations and is "
                    "rougher.",
                )
            ),
        ]

    @classmethod
    def _ahead(cls) -> list[io.Input]:
        """Where the look is taken; optional, because workflows of earlier versions lack them."""
        return [
            io.Int.Input(
                "ahead",
                default=0,
                min=0,
                max=1000,
                optional=True,
                tooltip="Sampling steps, by euler, before the look: attention tells more there. "
                "0 looks at the noise itself, as InitNO does. Above 0 it only chooses among draws "
                "(iterations 0), and each draw costs as many steps.",
            ),
            *(
                cls._optional(widget)
                for widget in sampler_inputs()
                if widget.id in ("steps", "cfg", "scheduler")
            ),
            negative_input(
                "The negative prompt of the run; needed where ahead is above 0 and cfg is not 1."
            ),
        ]

    @staticmethod
    def _optional(widget: io.Input) -> io.Input:
        widget.optional = True
        widget.tooltip = "As in the run; used where ahead is above 0."
        return widget

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        energy: Any,
        latent_image: dict[str, Any],
        seed: int,
        rounds: int,
        iterations: int,
        threshold: float,
        moves: str,
        divergence: float,
        rate: float,
        vae: Any = None,
        ahead: int = 0,
        steps: int = 20,
        cfg: float = 4.0,
        scheduler: str = "normal",
        negative: Any = None,
    ) -> io.NodeOutput:
        """Seek the noise."""
        search = NoiseSearch(moves, iterations, rounds, rate, threshold, divergence)
        widgets = (steps, cfg, "euler", scheduler)
        run = (samplers.plan_of(model, positive, negative, *widgets), ahead) if ahead else None
        order = Order(model, positive, latent_image, seed, vae, run)
        found = sought(order, energy, search)
        report = report_of(found, threshold)
        note(report)
        return io.NodeOutput(noise_of(found, order), noisy_latent(found, order), report)


def report_of(found: Found, threshold: float) -> str:
    """The energies of each sample before and after, and the evaluations of the model."""
    rows = zip(found.first.tolist(), found.energy.tolist(), found.rounds.tolist(), strict=True)
    lines = [
        f"image {number}: energy {before:.3g} to {after:.3g}, draw {draw}"
        + ("" if after <= threshold else ", above the threshold")
        for number, (before, after, draw) in enumerate(rows)
    ]
    return "\n".join([*lines, f"{found.looks} looks"])
