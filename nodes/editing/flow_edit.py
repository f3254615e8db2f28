"""Edits an image from one prompt to another without inverting it: FlowEdit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..host import flow_edit, samplers
from ..inputs.sampling import negative_input, seed_input
from ..inputs.sockets import Path, advanced, schema


class FlowEdit(io.ComfyNode):
    """Edits an image from one prompt to another without inverting it: FlowEdit."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGFlowEdit",
            display_name="Flow Edit",
            category="guidance/edit",
            description="Edits an image by two prompts, what it shows and what it should show, "
            "without inverting it: it moves along the difference of their velocities. For flow "
            "models, and for all others in the coordinates of a flow.",
            search_aliases=("flowedit", "directedit", "inversion-free editing", "prompt edit"),
            inputs=[
                *cls._sockets(),
                *cls._numbers(),
                *cls._finer_numbers(),
                *cls._optional(),
            ],
            outputs=[io.Latent.Output(tooltip="The edited image, for VAE Decode.")],
        )

    @classmethod
    def _sockets(cls) -> list[io.Input]:
        return [
            io.Model.Input("model", tooltip="The diffusion model, guided or not."),
            io.Conditioning.Input("source", tooltip="A prompt that says what the image shows."),
            io.Conditioning.Input(
                "positive", tooltip="The same prompt with the change in it; guidance acts on it."
            ),
            io.Latent.Input(
                "latent_image",
                tooltip="The image, from VAE Encode; its noise mask is kept to where no mask is "
                "connected.",
            ),
        ]

    @classmethod
    def _numbers(cls) -> list[io.Input]:
        return [
            seed_input("Seed of the noise; the same seed gives the same image."),
            io.Int.Input(
                "steps",
                default=50,
                min=1,
                max=10000,
                tooltip="Steps of the whole run, of which n_max are taken: published are 50 for "
                "SD3 and 28 for FLUX.",
            ),
            io.Int.Input(
                "n_max",
                default=33,
                min=1,
                max=10000,
                tooltip="Steps that edit, counted from the last one back: more change more. "
                "Published are 33 of 50 for SD3 and 24 of 28 for FLUX.",
            ),
            cls._scale(
                "cfg", 13.5, "the wanted prompt", "higher edits more; published are 13.5 and 5.5"
            ),
            cls._scale("source_cfg", 3.5, "the source's prompt", "published are 3.5 and 1.5"),
        ]

    @classmethod
    def _finer_numbers(cls) -> list[io.Input]:
        return [
            io.Combo.Input(
                "scheduler",
                options=samplers.SCHEDULERS,
                default="simple",
                tooltip="Spacing of the noise levels; simple is the published one for flow models.",
            ),
            advanced(
                io.Int.Input(
                    "n_min",
                    default=0,
                    min=0,
                    max=10000,
                    tooltip="Last steps in which the wanted prompt is sampled alone: more let "
                    "style and texture change, and keep less of the image.",
                )
            ),
            advanced(
                io.Int.Input(
                    "n_avg",
                    default=1,
                    min=1,
                    max=100,
                    tooltip="Noises a step, whose velocities are averaged: more edit more "
                    "smoothly, and each costs as much as the first.",
                )
            ),
        ]

    @classmethod
    def _optional(cls) -> list[io.Input]:
        return [
            negative_input("Of both prompts; needed where a cfg is not 1."),
            io.Mask.Input(
                "mask",
                optional=True,
                tooltip="Where the image may change; outside of it the latent keeps its bytes.",
            ),
            Path.Input(
                "path",
                optional=True,
                tooltip="From Invert, of the same latent, steps and scheduler: the edit then "
                "follows the image's own path, step by step, in place of fresh noise (direct "
                "path). The seed does nothing then.",
            ),
        ]

    @classmethod
    def _scale(cls, name: str, default: float, of: str, more: str) -> io.Input:
        return io.Float.Input(
            name,
            default=default,
            min=0.0,
            max=100.0,
            step=0.1,
            round=0.01,
            tooltip=f"Scale of classifier-free guidance of {of}: {more}, for SD3 and FLUX.",
        )

    @classmethod
    def validate_inputs(
        cls, steps: int | None = None, n_max: int | None = None, n_min: int | None = None
    ) -> bool | str:
        """Refuse impossible numbers of steps when the workflow is queued."""
        if steps is None or n_max is None or n_min is None:  # what comes over a link
            return True
        return flow_edit.steps_fault(n_min, n_max, steps) or True

    @classmethod
    def execute(
        cls,
        model: Any,
        source: Any,
        positive: Any,
        latent_image: dict[str, Any],
        seed: int,
        steps: int,
        n_max: int,
        cfg: float,
        source_cfg: float,
        scheduler: str,
        n_min: int = 0,
        n_avg: int = 1,
        negative: Any = None,
        mask: Any = None,
        path: Any = None,
    ) -> io.NodeOutput:
        """Edit the image."""
        needed = source_cfg if cfg == 1 else cfg  # either asks for the negative prompt
        plan = samplers.plan_of(model, positive, negative, steps, needed, "euler", scheduler)
        edit = flow_edit.Edit(seed, n_max, n_min, n_avg, source_cfg)
        plan = replace(plan, cfg=cfg)
        return io.NodeOutput(flow_edit.edited(plan, source, latent_image, edit, mask, path))
