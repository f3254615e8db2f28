"""Records what the model does inside for a source image."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..host import record, samplers
from ..host.browser.note import note
from ..inputs.attention import heads_input, layers_of
from ..inputs.noise_levels import schedule_inputs
from ..inputs.sampling import negative_input, seed_input
from ..inputs.sockets import Path, Reference, Tokens, schema

MEGABYTE = 2**20


class RecordReference(io.ComfyNode):
    """Records what the model does inside for a source image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGRecordReference",
            display_name="Record Reference",
            category="guidance/edit",
            description="Records attention maps and features of a source image, for energies "
            "that keep or change them. It is recorded while it is sampled, or along the path "
            "of an inverted image; one recording serves any number of edits.",
            search_aliases=("self-guidance", "source picture", "attention maps", "pix2pix-zero"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model, without edits."),
                io.Conditioning.Input("positive", tooltip="The prompt of the source image."),
                seed_input(
                    "Seed of the noise of the source image; use the same in the "
                    "edit. Not used with a path."
                ),
                *schedule_inputs(20),
                io.Combo.Input(
                    "sampler_name",
                    options=samplers.SAMPLERS,
                    default="euler",
                    tooltip="Sampler of the source image; use the same in the edit. euler is "
                    "DDIM. Not used with a path.",
                ),
                io.Boolean.Input(
                    "maps",
                    default=True,
                    tooltip="Records attention maps: for the energies Position, Size, Shape, "
                    "Appearance and Keep Attention, and for Show Attention.",
                ),
                io.Boolean.Input(
                    "features",
                    default=True,
                    tooltip="Records features: for the energies Appearance and Keep Features.",
                ),
                io.String.Input(
                    "layers",
                    default="default",
                    tooltip="Layers to record: default, all, or names separated by commas, "
                    "of attention and features together. The energies can read these layers "
                    "only; all takes the most memory.",
                ),
                negative_input(),
                io.Latent.Input(
                    "latent_image",
                    optional=True,
                    tooltip="The latent that the source image is sampled from. Not used with "
                    "a path.",
                ),
                Path.Input(
                    "path",
                    optional=True,
                    tooltip="From Invert: records along the image's own path, so that the "
                    "source is exactly that image. Steps, scheduler and denoise are those of "
                    "the path.",
                ),
                Tokens.Input(
                    "tokens",
                    optional=True,
                    tooltip="Records the maps of these words only, which saves memory; "
                    "without them, of the whole prompt.",
                ),
                heads_input(
                    "mean: records the mean of the attention heads. each: records every head, for "
                    "Keep Attention with heads each; the others read it too. Takes as many times "
                    "the memory as the model has heads."
                ),
            ],
            outputs=[
                Reference.Output(
                    display_name="reference", tooltip="For energies and Show Attention."
                ),
                io.Latent.Output(tooltip="The source image."),
                Path.Output(
                    display_name="path",
                    tooltip="The states of the source while it was sampled by euler, for "
                    "Prompt-to-Prompt and Plug-and-Play.",
                ),
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
        heads: str = "mean",
    ) -> io.NodeOutput:
        """Record the source."""
        watched, reference_of = record.watched(
            model, record.requests(model, tokens, maps, features, layers_of(layers), heads)
        )
        widgets = (steps, cfg, sampler_name, scheduler, denoise)
        plan = samplers.plan_of(watched, positive, negative, *widgets)
        if path is not None:
            latent = record.follow(plan, path)
        elif latent_image is not None:
            latent, path = record.sampled(plan, sampler_name, seed, latent_image)
        else:
            raise ValueError(
                "a latent_image to be sampled from, or a path from Invert, must be "
                "connected, got neither: connect one of them"
            )
        reference = reference_of(latent["samples"])
        note(
            f"{reference.nbytes / MEGABYTE:.1f} MB of {len(reference.recorded)} noise levels, "
            f"latent {reference.size[0]} x {reference.size[1]}"
        )
        return io.NodeOutput(reference, latent, path)
