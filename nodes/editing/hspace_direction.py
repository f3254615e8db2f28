"""Finds a direction in the middle of the model, for h-space Edit."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from comfy_api.latest import io

from ..host import hspace_directions, hspace_training
from ..host.browser.note import note
from ..host.hspace_directions import Runs
from ..host.hspace_training import Lesson
from ..host.kept import workflow_key
from ..host.middle import UNetMiddle
from ..inputs.sampling import VAE_TIP, sampler_inputs
from ..inputs.sockets import Direction, Network, schema

PROMPTS, COMPONENTS = "prompts", "components"
BY_PROMPTS, BY_CLIP = "trained by prompts", "trained by CLIP"
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
            "sampling: the difference between two prompts, what varies most among the images of "
            "one, or what a small network is trained to do. Training goes on where it was stopped.",
            search_aliases=("asyrp", "semantic direction", "pca", "concept slider"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model, a U-Net; it is not changed."),
                io.Clip.Input("clip", tooltip="The text encoder of the model."),
                io.Combo.Input(
                    "way",
                    options=[PROMPTS, COMPONENTS, BY_PROMPTS, BY_CLIP],
                    default=PROMPTS,
                    tooltip="prompts: the mean difference between runs of source and target, with "
                    "the same noise. components: a principal component among the runs of source; "
                    "what it means is for you to see. trained: a small network learns, in the runs "
                    "of source, what the model itself would do under target (by prompts), or what "
                    "a CLIP model sees change (by CLIP).",
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
                *cls._training_inputs(),
            ],
            # The workflow says which direction this is, so that another does not take its work.
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
            outputs=[Direction.Output(display_name="direction", tooltip="For h-space Edit.")],
        )

    @classmethod
    def _training_inputs(cls) -> list[io.Input]:
        fraction = {"min": 0.0, "max": 1.0, "step": 0.01, "optional": True}
        return [
            Network.Input(
                "network",
                optional=True,
                tooltip="A CLIP model, from Load Guide: open_clip. Only for by CLIP.",
            ),
            io.Vae.Input("vae", optional=True, tooltip=f"{VAE_TIP} Only for by CLIP."),
            io.Float.Input(
                "rate",
                default=0.01,
                min=0.0001,
                max=1.0,
                step=0.001,
                round=0.0001,
                optional=True,
                tooltip="Learning rate of trained: higher learns in fewer runs, too high spoils "
                "the images.",
            ),
            io.Float.Input(
                "keep",
                default=1.0,
                min=0.0,
                max=100.0,
                step=0.1,
                optional=True,
                tooltip="How much of the image should stay: higher changes less. Only for by CLIP.",
            ),
            io.Float.Input(
                "train_start",
                default=0.0,
                **fraction,
                tooltip="From where in a run trained learns, from 0 (pure noise) to 1; use the "
                "same edit_start in h-space Edit. Later keeps the layout.",
            ),
            io.Float.Input(
                "train_end",
                default=1.0,
                **fraction,
                tooltip="Until where in a run trained learns; use the same edit_end in h-space "
                "Edit.",
            ),
            io.String.Input(
                "name",
                default="direction",
                optional=True,
                tooltip="Name of the file of a trained direction in models/guidance. An older "
                "direction of this name is replaced when the new one is ready.",
            ),
        ]

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
        network: Any = None,
        vae: Any = None,
        rate: float = 0.01,
        keep: float = 1.0,
        train_start: float = 0.0,
        train_end: float = 1.0,
        name: str = "direction",
    ) -> io.NodeOutput:
        """Sample, and look at h, or train."""
        UNetMiddle(model.get_model_object("diffusion_model"))
        sampling = (steps, cfg, sampler_name, scheduler)
        looked = Runs(model, clip, negative, latent_image, seed, runs, sampling)
        if way == PROMPTS:
            each_place = places == EACH
            found = hspace_directions.by_prompts(looked, source, target, each_place=each_place)
            note(f"{len(found.sigmas)} noise levels, {found.site}")
            return io.NodeOutput(found)
        if way in (BY_PROMPTS, BY_CLIP):
            settings = (source, target, rate, keep, (train_start, train_end))
            key = cls._key(way, *sampling, seed, runs, *settings)
            clip_model = cls._clip_model(network) if way == BY_CLIP else None
            taught, report = hspace_training.trained(
                Lesson(looked, clip_model, vae, *settings, name, key)
            )
            note(report)
            return io.NodeOutput(taught)
        found, part = hspace_directions.by_components(looked, source, component)
        note(f"component {component}: {100 * part:.0f} % of the variance of h")
        return io.NodeOutput(found)

    @classmethod
    def _clip_model(cls, network: Any) -> Any:
        if network is None:
            raise ValueError(
                "the way 'trained by CLIP' needs a CLIP model, got none: connect Load Guide: "
                "open_clip, or choose 'trained by prompts'"
            )
        return network

    @classmethod
    def _key(cls, *widgets: Any) -> str:
        """Tells this direction from those of other settings and other workflows."""
        hidden = getattr(cls, "hidden", None)
        above = workflow_key(getattr(hidden, "prompt", None), getattr(hidden, "unique_id", None))
        return hashlib.sha256(json.dumps([above, *widgets]).encode()).hexdigest()[:8]
