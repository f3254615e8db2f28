"""Nodes that remember what the model sees in a source picture."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..host import invert, record, samplers
from ..host.browser.note import note
from ..inputs.attention import layers_of
from ..inputs.noise_levels import schedule_inputs
from ..inputs.sockets import Path, Reference, Tokens, schema

MEGABYTE = 2**20


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
                    options=samplers.SAMPLERS,
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
                io.String.Input(
                    "layers",
                    default="default",
                    tooltip="Which layers to record, as the energies say it: default, all, or "
                    "names with commas between, of attention and of features together. "
                    "Pix2Pix-Zero took all, Self-Guidance a few of the decoder's.",
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
        watched, reference_of = record.watched(
            model, record.requests(model, tokens, maps, features, layers_of(layers))
        )
        if path is not None:
            latent = record.follow(watched, positive, negative, cfg, path)
        elif latent_image is not None:
            negative = invert.negative_of(positive, negative, cfg)
            plan = (steps, cfg, sampler_name, scheduler, positive, negative)
            latent = samplers.sample(watched, seed, *plan, latent_image, denoise)
        else:
            raise ValueError(
                "the source needs a latent_image to be painted from, or a path from Invert: "
                "connect one of them"
            )
        reference = reference_of(latent["samples"])
        note(
            f"{reference.nbytes / MEGABYTE:.1f} MB of {len(reference.captures)} noise levels, "
            f"latent {reference.size[0]} x {reference.size[1]}"
        )
        return io.NodeOutput(reference, latent)
