"""What the demo draws: tasks, and the columns of settings that each is drawn with."""

from __future__ import annotations

from dataclasses import dataclass

from guidance_core.shapes.oracle import Verdict

STRENGTH = 0.8
STRENGTH_TWICE = 0.6  # where every step is taken twice
CONFIDENCE = 0.9  # the default of the node
BACKWARD_STEPS = 2


@dataclass(frozen=True)
class Task:
    """One target, asked for by an energy while the prompt stays empty.

    Arguments:
        name: name in the report.
        target: a label of the classifier, or a sentence.
        network: the guide network that judges while sampling: `classifier` or `clip`.
        end_percent: where guidance ends; a sentence has no confidence from which it has no effect.
    """

    name: str
    target: str
    network: str
    end_percent: float = 1.0

    def satisfied(self, verdict: Verdict) -> bool:
        """Whether some whole object is all that the target says (articles aside)."""
        words = set(self.target.split()) - {"a"}
        return any(words <= {i.shape, i.colour, i.size} for i in verdict.items)


@dataclass(frozen=True)
class Column:
    """One way of guiding."""

    name: str
    strength: float
    backward_steps: int = 0
    recurrences: int = 1


TASKS = (
    Task("colour", "red", "classifier"),
    Task("shape", "circle", "classifier"),
    Task("sentence", "a big blue square", "clip", end_percent=0.8),
)
COLUMNS = (
    Column("unguided", 0.0),
    Column("forward", STRENGTH),
    Column("forward+backward", STRENGTH, BACKWARD_STEPS),
    Column("forward+backward+recurrence", STRENGTH_TWICE, BACKWARD_STEPS, recurrences=2),
)


@dataclass(frozen=True)
class Job:
    """One batch of images to draw: a task, a column, seeds that follow each other."""

    task: Task
    column: Column
    seed: int
    batch: int
    steps: int
