"""What each start is asked, and with which settings: known without ComfyUI."""

from __future__ import annotations

from dataclasses import dataclass

from bench.records import fingerprint_with


@dataclass(frozen=True)
class Task:
    """Something asked of a start.

    Arguments:
        name: on the command line.
        start: the node, as its header says, with its choice.
        asked: what is asked, in words.
        medium: what the node does at medium: energy, rule and strength.
        figures: what is measured of an image, by its name in the rows.
        networks: guide networks that take part.
        cfg: scale of classifier-free guidance.
        steps: of Euler.
    """

    name: str
    start: str
    asked: str
    medium: str
    figures: dict[str, str]
    networks: tuple[str, ...] = ()
    cfg: float = 1.0
    steps: int = 10

    @property
    def identity(self) -> dict[str, str]:
        """What makes batches comparable: the weights that take part, and the settings."""
        weights = fingerprint_with(self.networks)
        settings = f"{self.medium}; {self.steps} steps, CFG {self.cfg:g}"
        return {"task": self.name, "weights": weights, "settings": settings}


KEPT, CLIP = {"cfg": 2.0}, ("open_clip",)
LAYOUT, LOOK = (
    "Layout, Forward 4, falling to 0 at 60 %",
    "Look, Forward 2, falling from 20 % to 0 at 100 %",
)
MIXED = {
    "iou": "IoU with the first scene's object",
    "colour": "has the second scene's colour",
    "all": "both: IoU 0.5 and the colour",
    "prompt": "shows its prompt",
}
TASKS = {
    task.name: task
    for task in (
        Task(
            "layout",
            "Keep from Image: layout",
            "objects of other colours and shapes, named by the prompt, where a scene has its own",
            LAYOUT,
            {"iou": "IoU with the scene's objects", "prompt": "shows its prompt"},
            **KEPT,
        ),
        Task(
            "look",
            "Keep from Image: look",
            "one object of another shape, whose prompt leaves the colour open, in that of a scene",
            LOOK,
            {"colour": "has the scene's colour", "prompt": "shows its prompt"},
            **KEPT,
        ),
        *(
            Task(
                name,
                f"Keep from Image: {start}",
                "one object of another shape, whose prompt leaves the colour open, where one scene "
                "has its own, in the colour of another scene",
                medium,
                MIXED,
                **KEPT,
            )
            for name, start, medium in (
                ("layout and look", "layout of one, then look of another", f"{LAYOUT}; {LOOK}"),
                ("mixed, layout alone", "layout of the first alone", LAYOUT),
                ("mixed, look alone", "look of the second alone", LOOK),
            )
        ),
        Task(
            "text",
            "Guide with Text",
            "'a big red circle', without a prompt",
            "CLIP Text, Forward 1.4, until 90 %",
            {"prompt": "shows the sentence"},
            CLIP,
        ),
        Task(
            "style",
            "Guide with Image: style",
            "the colours of a scene, without a prompt",
            "Style of blocks 1 to 3, Forward 0.7, until 90 %",
            {"palette": "palette distance"},
            CLIP,
        ),
        Task(
            "palette",
            "Guide with Image: palette",
            "the colours of a scene, without a prompt",
            "Palette, Forward 0.5, until 90 %",
            {"palette": "palette distance"},
        ),
        Task(
            "likeness",
            "Guide with Image: likeness",
            "the object of a scene, without a prompt",
            "CLIP Image, Forward 1, until 90 %",
            {"same": "shows the scene's object", "palette": "palette distance"},
            CLIP,
        ),
        Task(
            "structure",
            "Guide with Image: structure",
            "the layout of a scene, without a prompt",
            "Structure, Forward 0.5, until 90 %",
            {"iou": "IoU with the scene's objects"},
            ("vit",),
        ),
    )
}
