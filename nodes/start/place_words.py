"""Puts objects of the prompt into boxes."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.box import Box
from ...guidance_core.energies.weighted_sum import WeightedSum
from ...guidance_core.rules.forward import Forward
from ...guidance_core.schedules import PercentWindow, Scaled
from ..host.browser.words import remember
from ..host.reading.words import find_words, in_context
from ..inputs.boxes import backdrop_input
from ..inputs.energy import fault_of
from ..inputs.sockets import advanced, schema
from ..inputs.start import (
    CATEGORY,
    amount_of,
    encoded,
    guided,
    prompt_inputs,
    prompt_outputs,
    recurrence_input,
    strength_inputs,
)
from ..inputs.start_faults import words_fault

# As measured on two objects, see docs/editing.md.
MEDIUM = 2.5
WINDOW = PercentWindow(0.0, 0.6, "linear_down")
RECURRENCES = 3
Edges = tuple[float, float, float, float]
# Words, the edges of their box, and its angle.
Line = tuple[str, Edges, float]


class PlaceWords(io.ComfyNode):
    """Puts objects of the prompt into boxes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGPlaceWords",
            display_name="Place Words in Boxes",
            category=CATEGORY,
            description="Puts objects of the prompt where their boxes are: encodes the prompt, "
            "and guides the model's attention to the words.",
            search_aliases=("guidance", "layout", "regional prompt", "start here"),
            inputs=[
                *prompt_inputs(),
                io.String.Input(
                    "boxes",
                    default="",
                    multiline=True,
                    tooltip="One line for each object: its words as they stand in the prompt, a "
                    "colon, and the left, upper, right and lower edge as fractions of the image: "
                    "'red circle: 0.1 0.2 0.5 0.6'; a fifth number turns it, in degrees.",
                ),
                *strength_inputs(),
                advanced(recurrence_input(RECURRENCES)),
                backdrop_input(),
            ],
            outputs=prompt_outputs(),
            # Its monitor draws on this node: another node of the same inputs needs one of its own.
            not_idempotent=True,
        )

    @classmethod
    def validate_inputs(cls, boxes: str | None = None) -> bool | str:
        """Refuse lines that are no boxes, or not of the prompt, when the workflow is queued."""
        if boxes is None:
            return True
        fault = fault_of(boxes_in, boxes)
        return fault or words_fault(phrase for phrase, *_ in boxes_in(boxes)) or True

    @classmethod
    def execute(
        cls,
        model: Any,
        clip: Any,
        text: str,
        boxes: str,
        strength: str,
        amount: float,
        recurrences: int = RECURRENCES,
        image: Any = None,
    ) -> io.NodeOutput:
        """Encode the prompt, and guide a clone of the model."""
        remember(clip, text)
        energies = [
            Box(in_context(clip, text, find_words(clip, text, phrase)), edges, angle=angle)
            for phrase, edges, angle in boxes_in(boxes)
        ]
        size = MEDIUM * amount_of(strength, amount)
        energy = WeightedSum(tuple((1.0, energy) for energy in energies))
        rules = [Forward(energy, Scaled(WINDOW, size))] if size else []
        return guided(model, rules, recurrences, extra=encoded(clip, text))


def boxes_in(text: str) -> list[Line]:
    """Words, edges and angle, in degrees, of every line.

    Raises:
        ValueError: there is no line, or one is no box; the message shows one that is.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("boxes must hold at least one, got none: draw one, or write a line")
    return [_box(line) for line in lines]


def _box(line: str) -> Line:
    words, _, numbers = line.rpartition(":")
    try:
        left, top, right, bottom, *angle = (float(number) for number in numbers.split())
    except ValueError:
        left = right = top = bottom = 0.0
        angle = []
    whole = 0 <= left < right <= 1 and 0 <= top < bottom <= 1 and len(angle) <= 1
    if not (words.strip() and whole):
        raise ValueError(
            f"boxes must be lines such as 'red circle: 0.1 0.2 0.5 0.6' with left < right and "
            f"top < bottom in [0, 1], got '{line.strip()}'"
        )
    return words.strip(), (left, top, right, bottom), angle[0] if angle else 0.0
