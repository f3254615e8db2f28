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
from ..inputs.hspace import training_inputs
from ..inputs.sampling import first_seed_input, negative_input, sampler_inputs
from ..inputs.sockets import Direction, schema

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
                first_seed_input(),
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
                negative_input(),
                *training_inputs(),
            ],
            # The workflow says which direction this is, so that another does not take its work.
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
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
        network: Any = None,
        vae: Any = None,
        rate: float = 0.01,
        keep: float = 1.0,
        train_start: float = 0.0,
        train_end: float = 1.0,
        name: str = "direction",
    ) -> io.NodeOutput:
        """Sample, and look at h, or train."""
        UNetMiddle(model.get_model_object("diffusion_model"))  # refuses other models first
        sampling = steps, cfg, sampler_name, scheduler
        looked = Runs(model, clip, negative, latent_image, seed, runs, sampling)
        if way == PROMPTS:
            found, report = _by_prompts(looked, source, target, places)
        elif way == COMPONENTS:
            found, report = _by_components(looked, source, component)
        else:
            settings = source, target, rate, keep, (train_start, train_end)
            key = cls._key(way, *sampling, seed, runs, *settings)
            lesson = Lesson(looked, cls._seen_by(way, network), vae, *settings, name, key)
            found, report = hspace_training.trained(lesson)
        note(report)
        return io.NodeOutput(found)

    @classmethod
    def _seen_by(cls, way: str, network: Any) -> Any:
        """The CLIP model that training looks through, None where it needs none."""
        if way != BY_CLIP:
            return None
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


def _by_prompts(looked: Runs, source: str, target: str, places: str) -> tuple[Any, str]:
    found = hspace_directions.by_prompts(looked, source, target, each_place=places == EACH)
    return found, f"{len(found.sigmas)} noise levels, {found.site}"


def _by_components(looked: Runs, source: str, component: int) -> tuple[Any, str]:
    found, part = hspace_directions.by_components(looked, source, component)
    return found, f"component {component}: {100 * part:.0f} % of the variance of h"
