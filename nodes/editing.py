"""Nodes that take a picture as it is: its noise, and what the model sees in it."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..guidance_core.inversion import WhiteNoise, psnr
from .host import invert, record, sampling
from .host.note import note
from .sockets import Path, Reference, Tokens, schema

MEGABYTE = 2**20


def schedule_inputs(steps: int) -> list[io.Input]:
    """Widgets of the noise levels, as the stock KSampler has them."""
    return [
        io.Int.Input(
            "steps",
            default=steps,
            min=1,
            max=10000,
            tooltip="Sampling steps; the edit should take the same. Pix2Pix-Zero 50.",
        ),
        io.Float.Input(
            "cfg",
            default=1.0,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            tooltip="Scale of classifier-free guidance. Inversion drifts above 1: Pix2Pix-Zero "
            "and Direct Inversion invert with 1.",
        ),
        io.Combo.Input(
            "scheduler",
            options=sampling.SCHEDULERS,
            default="normal",
            tooltip="How the noise levels are spaced; the edit should take the same. The papers' "
            "even spacing is normal.",
        ),
        io.Float.Input(
            "denoise",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How far up the noise levels to go; the papers go all the way, less keeps "
            "more of the picture.",
        ),
    ]


def round_trip(path: Any, plan: invert.Plan, vae: Any) -> str:
    """Say how well a path's picture is painted again from its top."""
    again, latent = invert.repainted(plan, path), plan.latent(path)
    if vae is None:
        error = (again - latent).square().mean() / latent.square().mean()
        return f"round trip: {-10 * float(error.clamp_min(1e-12).log10()):.1f} dB of the latent"
    decibels = psnr(vae.decode(again), vae.decode(latent))
    return f"round trip: {float(decibels.mean()):.1f} dB, worst picture {float(decibels.min()):.1f}"


class Invert(io.ComfyNode):
    """The noise from which a picture is painted."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGInvert",
            display_name="Invert",
            category="guidance/editing",
            description="Finds the noise from which the sampler euler (DDIM) paints a given "
            "picture, so that the picture can be edited.",
            search_aliases=("ddim inversion", "unsampler", "pix2pix-zero", "direct inversion"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model, without edits."),
                io.Conditioning.Input(
                    "positive", tooltip="A prompt that describes the picture; it may be empty."
                ),
                io.Latent.Input("latent_image", tooltip="The picture, from VAE Encode."),
                *schedule_inputs(50),
                io.Int.Input(
                    "iterations",
                    default=2,
                    min=1,
                    max=100,
                    tooltip="Model evaluations a step: 1 is plain DDIM inversion, as in "
                    "Pix2Pix-Zero; more solve each step more exactly (AIDI used up to 11).",
                ),
                io.Float.Input(
                    "white_noise",
                    default=0.0,
                    min=0.0,
                    max=1000.0,
                    step=1.0,
                    tooltip="Regularises the predicted noise, which edits better and comes back "
                    "worse. 0 is off; Pix2Pix-Zero 20.",
                ),
                io.Boolean.Input(
                    "measure",
                    default=True,
                    tooltip="Paint the picture again and report how near it comes, at one "
                    "evaluation a step. The papers report such figures too.",
                ),
                io.Conditioning.Input(
                    "negative", optional=True, tooltip="Needed only where cfg is not 1."
                ),
                io.Vae.Input(
                    "vae", optional=True, tooltip="To measure on the picture, not on the latent."
                ),
            ],
            outputs=[
                io.Latent.Output(
                    tooltip="The inverted latent, for KSampler (Advanced) with add_noise disabled, "
                    "sampler euler and the same steps and scheduler. Not with flow models: they "
                    "need the noise."
                ),
                Path.Output(
                    display_name="path",
                    tooltip="Every state on the way, for Record Reference (direct inversion).",
                ),
                io.Noise.Output(
                    tooltip="The same for SamplerCustomAdvanced, with the latent that was "
                    "inverted; for every family of models."
                ),
                io.String.Output(display_name="report", tooltip="How near the round trip comes."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        latent_image: dict[str, Any],
        steps: int,
        cfg: float,
        scheduler: str,
        denoise: float,
        iterations: int,
        white_noise: float,
        measure: bool,
        negative: Any = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        """Invert the picture."""
        plan = invert.plan(model, positive, negative, cfg, steps, scheduler, denoise)
        settle = WhiteNoise(white_noise) if white_noise else None
        path = invert.inverted(plan, latent_image["samples"], iterations, settle)
        report = round_trip(path, plan, vae) if measure else "round trip: not measured"
        note(report)
        noisy = invert.noisy_latent(model, path, latent_image)
        return io.NodeOutput(noisy, path, invert.PathNoise(path, model), report)


class RecordReference(io.ComfyNode):
    """What the model shows inside on the way to the source picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRecordReference",
            display_name="Record Reference",
            category="guidance/editing",
            description="Records attention maps and features of a source picture while it is "
            "painted, or along the path of an inverted one, for energies that keep or change "
            "them. Recorded once, used as often as you like.",
            search_aliases=("self-guidance", "source picture", "attention maps", "pix2pix-zero"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model, without edits."),
                io.Conditioning.Input("positive", tooltip="The prompt of the source picture."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed of the source's noise; the edit should take the same "
                    "(Self-Guidance). Not used with a path.",
                ),
                *schedule_inputs(20),
                io.Combo.Input(
                    "sampler_name",
                    options=sampling.SAMPLERS,
                    default="euler",
                    tooltip="Sampler of the source; the edit should take the same. The papers' "
                    "DDIM is euler. Not used with a path.",
                ),
                io.Boolean.Input(
                    "maps",
                    default=True,
                    tooltip="Record attention maps: for position, size, shape and Pix2Pix-Zero's "
                    "attention keeping.",
                ),
                io.Boolean.Input(
                    "features",
                    default=True,
                    tooltip="Record features: for appearance in Self-Guidance.",
                ),
                io.Combo.Input(
                    "layers",
                    options=["default", "all"],
                    default="default",
                    tooltip="Which layers to record; the energies must ask for the same. "
                    "Pix2Pix-Zero took all of them, Self-Guidance a few of the decoder's.",
                ),
                io.Conditioning.Input(
                    "negative", optional=True, tooltip="Needed only where cfg is not 1."
                ),
                io.Latent.Input(
                    "latent_image",
                    optional=True,
                    tooltip="The latent to paint the source from. Not used with a path.",
                ),
                Path.Input(
                    "path",
                    optional=True,
                    tooltip="From Invert: the source keeps to its own path, whatever the model "
                    "would paint (Direct Inversion). Steps, scheduler and denoise are the path's.",
                ),
                Tokens.Input(
                    "tokens",
                    optional=True,
                    tooltip="Record the maps of these words alone, to save memory; else of every "
                    "place in the prompt, as Pix2Pix-Zero did.",
                ),
            ],
            outputs=[
                Reference.Output(
                    display_name="reference", tooltip="For energies and Show Attention."
                ),
                io.Latent.Output(tooltip="The source picture."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        seed: int,
        steps: int,
        cfg: float,
        scheduler: str,
        denoise: float,
        sampler_name: str,
        maps: bool,
        features: bool,
        layers: str,
        negative: Any = None,
        latent_image: dict[str, Any] | None = None,
        path: Any = None,
        tokens: Any = None,
    ) -> io.NodeOutput:
        """Record the source."""
        if path is None and latent_image is None:
            raise ValueError(
                "the source needs a latent_image to be painted from, or a path from Invert: "
                "connect one of them"
            )
        wanted = record.requests(tokens, maps, features, layers)
        watched, reference_of = record.watched(model, wanted)
        if path is not None:
            latent = record.follow(watched, positive, negative, cfg, path)
        else:
            negative = invert.negative_of(positive, negative, cfg)
            plan = (steps, cfg, sampler_name, scheduler, positive, negative)
            latent = sampling.sample(watched, seed, *plan, latent_image, denoise)
        reference = reference_of(latent["samples"])
        note(
            f"{reference.nbytes / MEGABYTE:.1f} MB of {len(reference.captures)} noise levels, "
            f"latent {reference.size[0]} x {reference.size[1]}"
        )
        return io.NodeOutput(reference, latent)


NODES = [Invert, RecordReference]
