"""Brings back objects of the prompt that a model leaves out or mixes up."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.attention.phrases import Phrase, objects_of
from ...guidance_core.attention.words import Word
from ...guidance_core.energies.binding import Binding
from ...guidance_core.energies.presence import Presence
from ...guidance_core.energies.weighted_sum import WeightedSum
from ...guidance_core.rules.latent_update import LatentUpdate
from ...guidance_core.schedules import PercentWindow, Scaled
from ..host.browser.note import note
from ..host.reading.words import find_words, in_context
from ..inputs.energy import fault_of
from ..inputs.sockets import Energy, advanced, schema
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
from ..inputs.start_faults import prompt_text, words_fault

# As measured on three objects, see docs/editing.md.
WINDOW = PercentWindow(0.0, 0.4, "linear_down")
BINDING = 0.3


class FixMissingObjects(io.ComfyNode):
    """Brings back objects of the prompt that a model leaves out or mixes up."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGFixMissingObjects",
            display_name="Fix Missing Objects",
            category=CATEGORY,
            description="Makes every object of the prompt appear, with its own attributes: "
            "encodes the prompt, and guides the model's attention to its words.",
            search_aliases=("guidance", "attend and excite", "color leak", "start here"),
            inputs=[
                *prompt_inputs(),
                io.String.Input(
                    "objects",
                    default="",
                    multiline=True,
                    tooltip="Objects with their attributes, one per line, as they stand in the "
                    "prompt: 'red circle'. Empty: those that the prompt, in English, names by "
                    "itself.",
                ),
                *strength_inputs(),
                advanced(recurrence_input()),
            ],
            outputs=[
                *prompt_outputs(),
                Energy.Output(
                    display_name="energy",
                    tooltip="What is asked of the attention, for Optimise Initial Noise or a rule "
                    "of your own.",
                ),
            ],
            # Its monitor draws on this node: another node of the same inputs needs one of its own.
            not_idempotent=True,
        )

    @classmethod
    def validate_inputs(cls, objects: str | None = None) -> bool | str:
        """Refuse a prompt without the objects when the workflow is queued."""
        text = prompt_text()
        if text is None or objects is None:
            return True
        fault = fault_of(lambda own: named_objects(text, own), objects)
        return fault or words_fault(objects.splitlines()) or True

    @classmethod
    def execute(
        cls,
        model: Any,
        clip: Any,
        text: str,
        objects: str,
        strength: str,
        amount: float,
        recurrences: int = 1,
    ) -> io.NodeOutput:
        """Encode the prompt, and guide a clone of the model."""
        named = named_objects(text, objects)
        note("\n".join(" ".join(phrase.words) for phrase in named))
        words = {
            word: in_context(clip, text, find_words(clip, text, word))[0]
            for phrase in named
            for word in phrase.words
        }
        size = amount_of(strength, amount)
        energy = energy_of(named, words)
        rule = LatentUpdate(energy, Scaled(WINDOW, size))
        found = guided(model, [rule] if size else [], recurrences, extra=encoded(clip, text))
        return io.NodeOutput(*found.args, energy)


def named_objects(text: str, objects: str) -> tuple[Phrase, ...]:
    """Objects by the node's own list, or by the prompt.

    Raises:
        ValueError: there are none.
    """
    lines = [line for line in objects.splitlines() if line.strip()]
    if lines:
        return tuple(Phrase(parts[-1], tuple(parts[:-1])) for parts in map(str.split, lines))
    named = objects_of(text)
    if not named:
        raise ValueError(
            "expected a prompt that names objects, got none: write them into objects, one per line"
        )
    return named


def energy_of(named: tuple[Phrase, ...], words: dict[str, Word]) -> WeightedSum:
    """Presence of nouns and of attributes, and each object bound to its attributes."""
    nouns = tuple(words[phrase.noun] for phrase in named)
    attributes = tuple(words[word] for phrase in named for word in phrase.attributes)
    terms: list[tuple[float, Any]] = [(1.0, Presence(nouns))]
    terms += [(1.0, Presence(attributes))] if attributes else []
    for phrase in named:
        own = tuple(words[word] for word in phrase.words)
        others = tuple(words[w] for other in named if other is not phrase for w in other.words)
        terms += [(BINDING, Binding(own, others))] if len(own) > 1 else []
    return WeightedSum(tuple(terms))
