"""Combines energies in a weighted sum."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.classifier import ClassLabel
from ...guidance_core.energies.weighted_sum import WeightedSum
from ..host.browser.queued import validated
from ..inputs.sockets import Energy, schema

SLOTS = 4
NO_WEIGHT = (
    "at least one connected energy must have a weight other than 0, got none: raise a weight, or "
    "connect an energy"
)


class CombineEnergies(io.ComfyNode):
    """Combines energies in a weighted sum."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        weight = {"default": 1.0, "min": -1000.0, "max": 1000.0, "step": 0.05}
        inputs: list[io.Input] = []
        for slot in range(1, SLOTS + 1):
            inputs += [
                Energy.Input(
                    f"energy_{slot}", optional=slot > 1, tooltip=f"Part {slot} of the sum."
                ),
                io.Float.Input(
                    f"weight_{slot}",
                    tooltip=f"How much part {slot} counts: higher follows it more, negative moves "
                    "away from its target, 0 leaves it out.",
                    **weight,
                ),
            ]
        return schema(
            "EGCombineEnergies",
            display_name="Combine Energies",
            category="guidance/advanced",
            description="Combines up to four energies in one weighted sum; for more, connect "
            "one sum to another. A sum costs one backward pass in all, separate rules cost "
            "one each.",
            search_aliases=("sum", "weighted energies", "multiple guidance"),
            inputs=inputs,
            outputs=[Energy.Output(display_name="energy", tooltip="The sum.")],
        )

    @classmethod
    def validate_inputs(cls, energy_1: None = None) -> bool | str:
        """Refuse a sum without any weight when the workflow is queued."""
        node = validated()
        slots = [slot for slot in range(1, SLOTS + 1) if node and node.source(f"energy_{slot}")]
        weights = [node.value(f"weight_{slot}") for slot in slots if node]
        return NO_WEIGHT if weights and not any(weight != 0 for weight in weights) else True

    @classmethod
    def execute(
        cls,
        energy_1: Any,
        weight_1: float,
        weight_2: float,
        weight_3: float,
        weight_4: float,
        energy_2: Any = None,
        energy_3: Any = None,
        energy_4: Any = None,
    ) -> io.NodeOutput:
        """Sum what is connected."""
        slots = zip(
            (weight_1, weight_2, weight_3, weight_4),
            (energy_1, energy_2, energy_3, energy_4),
            strict=True,
        )
        parts = tuple((weight, energy) for weight, energy in slots if energy is not None and weight)
        if not parts:
            raise ValueError(NO_WEIGHT)
        total = WeightedSum(parts)
        label = _label_without_effect(total, 1.0)
        if label is not None:
            raise ValueError(
                f"the label '{label.label}' with a negative weight must have confidence 1, got "
                f"confidence {label.confidence:g}, at which its energy has no effect where the "
                "label is seen: set confidence to 1 in Energy: Classifier"
            )
        return io.NodeOutput(total)


def _label_without_effect(energy: Any, weight: float) -> ClassLabel | None:
    """A class label under a negative total weight whose confidence is below 1; None if none."""
    if isinstance(energy, WeightedSum):
        found = (_label_without_effect(part, weight * share) for share, part in energy.parts)
        return next((label for label in found if label is not None), None)
    if isinstance(energy, ClassLabel):
        return energy if weight < 0 and energy.confidence < 1 else None
    inner = getattr(energy, "energy", None)
    return None if inner is None else _label_without_effect(inner, weight)
