"""What the demo draws: tasks, and the columns of settings that each is drawn with."""

from __future__ import annotations

from dataclasses import dataclass

from guidance_core.shapes.oracle import Verdict

STRENGTH = 0.8  # of a label
TWICE = 0.75  # share of a strength where every step is taken twice
CONFIDENCE = 0.9  # the default of the node
ENOUGH = 0.38  # cosine from which a sentence has no effect, that of the example text-guided
BACKWARD_STEPS = 2


@dataclass(frozen=True)
class Task:
    """One target, asked for by an energy while the prompt stays empty.

    Arguments:
        name: name in the report.
        target: a label of the classifier, or a sentence.
        network: the guide network that judges while sampling: `classifier` or `clip`.
        strength: of Rule: Forward, relative; a sentence that is tried once needs more.
        times: as many times the steps of a label: a sentence obeys in a hundred, not in twenty.
    """

    name: str
    target: str
    network: str
    strength: float = STRENGTH
    times: int = 1

    def satisfied(self, verdict: Verdict) -> bool:
        """Whether some whole object is all that the target says (articles aside)."""
        words = set(self.target.split()) - {"a"}
        return any(words <= {i.shape, i.colour, i.size} for i in verdict.items)


@dataclass(frozen=True)
class Column:
    """One way of guiding; `share` is of the task's strength."""

    name: str
    share: float
    backward_steps: int = 0
    recurrences: int = 1


TASKS = (
    Task("colour", "red", "classifier"),
    Task("shape", "circle", "classifier"),
    Task("sentence", "a big blue square", "clip", strength=1.4, times=3),
)
COLUMNS = (
    Column("unguided", 0.0),
    Column("forward", 1.0),
    Column("forward+backward", 1.0, BACKWARD_STEPS),
    Column("forward+backward+recurrence", TWICE, BACKWARD_STEPS, recurrences=2),
)


@dataclass(frozen=True)
class Job:
    """One batch of images to draw: a task, a column, seeds that follow each other."""

    task: Task
    column: Column
    seed: int
    batch: int
    steps: int

    @property
    def strength(self) -> float:
        """Of the task in this column."""
        return self.task.strength * self.column.share
