"""Finds a direction in the middle of the model, for h-space Edit."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..host import hspace_directions
from ..host.browser.note import note
from ..host.hspace_directions import Runs
from ..host.middle import UNetMiddle
from ..inputs.sampling import sampler_inputs
from ..inputs.sockets import Direction, schema

PROMPTS, COMPONENTS = "prompts", "components"
MEAN, EACH = "all alike", "each its own"


class HSpaceDirection(io.ComfyNode):
    """Finds a direction in the middle of the model, for h-space Edit."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGHSpaceDirection",
            display_name="Find h-space Direction",
            category="guidance/edit",
            description="Finds a direction in the middle block of a U-Net, for h-space Edit, by "
            "sampling: the difference between two prompts, or what varies most among the images "
            "of one.",
            search_aliases=("asyrp", "semantic direction", "pca", "concept slider"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model, a U-Net; it is not changed."),
                io.Clip.Input("clip", tooltip="The text encoder of the model."),
                io.Combo.Input(
                    "way",
                    options=[PROMPTS, COMPONENTS],
                    default=PROMPTS,
                    tooltip="prompts: the mean difference between runs of source and target, with "
                    "the same noise. components: a principal component among the runs of source; "
                    "what it means is for you to see.",
                ),
                io.String.Input(
                    "source",
                    multiline=True,
                    tooltip="Prompts of what is there, one per line, taken in turn.",
                ),
                io.String.Input(
                    "target",
                    multiline=True,
                    default="",
                    tooltip="Prompts of what it should become, built like those of source. Not "
                    "used by components.",
                ),
                io.Latent.Input(
                    "latent_image",
                    tooltip="An empty latent of the size that you use; its batch is sampled at "
                    "once in each run.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFF,
                    tooltip="The first seed; each run takes the next one.",
                ),
                io.Int.Input(
                    "runs",
                    default=8,
                    min=1,
                    max=1000,
                    tooltip="How many times the latent is sampled for each side: more make the "
                    "direction cleaner. 16 to 64 images are usual.",
                ),
                *sampler_inputs(),
                io.Int.Input(
                    "component",
                    default=1,
                    min=1,
                    max=1000,
                    tooltip="Which principal component, 1 the strongest. Only for components.",
                ),
                io.Combo.Input(
                    "places",
                    options=[MEAN, EACH],
                    default=MEAN,
                    tooltip="all alike: the same shift at all places of the image, for things "
                    "that may be anywhere, and for images of any size. each its own: a map, for "
                    "images that are all aligned, such as portraits. Only for prompts.",
                ),
                io.Conditioning.Input(
                    "negative", optional=True, tooltip="Needed only where cfg is not 1."
                ),
            ],
            outputs=[Direction.Output(display_name="direction", tooltip="For h-space Edit.")],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        clip: Any,
        way: str,
        source: str,
        target: str,
        latent_image: dict[str, Any],
        seed: int,
        runs: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        component: int,
        places: str,
        negative: Any = None,
    ) -> io.NodeOutput:
        """Sample, and look at h."""
        UNetMiddle(model.get_model_object("diffusion_model"))
        sampling = (steps, cfg, sampler_name, scheduler)
        looked = Runs(model, clip, negative, latent_image, seed, runs, sampling)
        if way == PROMPTS:
            each_place = places == EACH
            found = hspace_directions.by_prompts(looked, source, target, each_place=each_place)
            note(f"{len(found.sigmas)} noise levels, {found.site}")
            return io.NodeOutput(found)
        found, part = hspace_directions.by_components(looked, source, component)
        note(f"component {component}: {100 * part:.0f} % of the variance of h")
        return io.NodeOutput(found)
