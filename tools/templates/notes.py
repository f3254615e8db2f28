"""What the note of a template says."""

from __future__ import annotations

from tools.templates.families import Family
from tools.templates.graph import File
from tools.templates.tasks import Task

UNTRIED = (
    "**Not tried on real weights.** The settings are start values from the small model that comes "
    "with the pack (docs/models.md says how they were found); the graph is tested with small "
    "random models of this family."
)
FEW = (
    "In {steps} steps every push counts for more, and the last ones settle colours: lower "
    "strengths, to the end, and *Recurrent Sampler* to try again (docs/few-steps.md)."
)
VIDEO = (
    "A sentence looks at every fourth latent frame (*Choose Frames*), decoded one by one. Longer "
    "or larger videos take more memory; begin with few frames."
)
NEWER = "Needs a newer ComfyUI than 0.3.64; tested on 0.29.0 and 0.33.0."


def text(family: Family, task: Task, files: list[File]) -> str:
    """The note, in Markdown."""
    where = [f"* [{file.name}]({file.url}) in `models/{file.directory}`" for file in files]
    by_hand = [file.name for file in files if not file.offered]
    parts = [
        f"**{family.title}, {task.title}.** {task.about}",
        f"**Files.** ComfyUI offers those that are missing{_but(by_hand)}.\n" + "\n".join(where),
        f"**Start values.** {task.start_of(family)}",
        *([FEW.format(steps=family.steps)] if family.takes_few_steps else []),
        *([VIDEO] if family.is_video else []),
        UNTRIED,
        *([NEWER] if family.newer else []),
    ]
    return "\n\n".join(parts)


def _but(names: list[str]) -> str:
    return f", except {', '.join(names)}, which you put there yourself" if names else ""
