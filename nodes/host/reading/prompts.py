"""The positive prompt that words belong to: found by what the text encoder made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from torch import Tensor

from ....guidance_core.attention.words import Context, Word, are_near, is_near
from ....guidance_core.requirements import walk

Cond = dict[str, Any]
# HiDream's: what Llama made of the text, (B, layers, M, C); see `encoders`.
LLAMA = "conditioning_llama3"
OTHER_PROMPT = (
    "the words are of {}, which the sampler does not get as its positive prompt: connect the "
    "same text and the same text encoder, with the same LoRA and CLIP skip, to Prompt Words and to "
    "the positive prompt"
)
# Conditioning (Concat) keeps what T5 made of the second prompt alone.
BEHIND_ANOTHER = (
    "the words are of {}, which stands behind another where Llama has read the first prompt alone, "
    "as Conditioning (Concat) leaves it: use Conditioning (Combine), or write both in one prompt"
)
SEVERAL_PROMPTS = (
    "words of several prompts guide the same step, but one prompt can be read at a step: choose "
    "the words from one prompt, or give the rules windows that do not overlap"
)
NO_WHOLE_PROMPT = (
    "an energy reads the attention to a prompt for the whole image, but every positive prompt "
    "that it reads has an area: add one without, or give the areas by Conditioning (Set Mask) with "
    "set_cond_area 'default', not 'mask bounds'"
)


@dataclass(frozen=True, eq=False)
class Prompt:
    """The positive prompt whose rows are read.

    Arguments:
        uuid: the host's name for it within an evaluation.
        length: places in its context.
        places: where each place of the text that is read stands in the model's text: behind
            padding, or behind another text.
    """

    uuid: Any
    length: int
    places: tuple[int, ...]


def context_of(rules: Iterable[Any]) -> Context | None:
    """Return the context of the words inside rules; None where no words know theirs.

    Raises:
        ValueError: they belong to several prompts.
    """
    words = (part for part in walk(list(rules)) if isinstance(part, Word))
    contexts = [word.context for word in words if word.context is not None]
    if not contexts:
        return None
    if not all(context.is_of_the_text_of(contexts[0]) for context in contexts[1:]):
        raise ValueError(SEVERAL_PROMPTS)
    return contexts[0]


def check_context(prompts: Sequence[Cond], context: Context | None) -> int:
    """Return the places of the text that would be read from positive prompts.

    Raises:
        ValueError: no prompt for the whole image holds the words' text.
    """
    found = _found(prompts, context, None)
    if found is None:
        text = shorten(context.text if context else "", 80, placeholder=" ...")
        behind = any(_is_behind(cond, context) for cond in prompts)
        message = BEHIND_ANOTHER if behind else OTHER_PROMPT
        raise ValueError(message.format(f"the prompt '{text}'" if text else "a prompt"))
    return len(found[1])


def _is_behind(cond: Cond, context: Context | None) -> bool:
    """Whether a cond has the words' text behind another, but not what a second encoder made."""
    inside = cond.get("cross_attn")
    if context is None or context.beside is None or inside is None:
        return False
    return any(_starts(inside, context.states))


def second_states(cond: Cond) -> Tensor | None:
    """What a second encoder made of a cond's text, (B, M, C); None where there is none."""
    llama = cond.get(LLAMA)
    return None if llama is None else llama[:, -1]


def prompt_at(prompts: Sequence[Cond], context: Context | None, sigma: float) -> Prompt | None:
    """Return the prompt to read at a noise level: the first one that is active and holds the text.

    None where no prompt of the evaluation holds it.

    Arguments:
        prompts: positive conds of the evaluation.
        context: of the words; None reads the first prompt.
        sigma: noise level.

    Raises:
        ValueError: only prompts with an area hold the text.
    """
    found = _found(prompts, context, sigma)
    if found is None:
        return None
    cond, places = found
    inside = cond["model_conds"]["c_crossattn"].cond
    # Families that change their text before attention sees it keep its places; FLUX.2 pads it.
    (padding, *_) = _starts(inside, cond["cross_attn"]) or [0]
    return Prompt(cond["uuid"], inside.shape[1], tuple(padding + place for place in places))


def _found(
    prompts: Sequence[Cond], context: Context | None, sigma: float | None
) -> tuple[Cond, tuple[int, ...]] | None:
    """The cond to read, and where the text stands in it."""
    there = [(cond, places) for cond in prompts for places in _places(cond, context)]
    if not there:
        return None
    whole = [found for found in there if found[0].get("area") is None]
    if not whole:
        raise ValueError(NO_WHOLE_PROMPT)
    inside = lambda cond: (
        cond.get("timestep_end", 0.0) <= sigma <= cond.get("timestep_start", float("inf"))
    )
    return next((found for found in whole if sigma is None or inside(found[0])), whole[0])


def _places(cond: Cond, context: Context | None) -> list[tuple[int, ...]]:
    """Places of the words' text, or of the cond's own, wherever it stands in the cond's text."""
    inside, beside = cond.get("cross_attn"), second_states(cond)
    if inside is None or not (context is None or are_near(beside, context.beside)):
        return []
    states = inside if context is None else context.states
    length = length_of(states, cond)
    return [
        (*range(first, first + length), *_behind(inside.shape[1], beside))
        for first in _starts(inside, states)
    ]


def length_of(states: Tensor, rest: Mapping[str, Any]) -> int:
    """Places of a text whose states (B, N, C) and whose other parts a text encoder has made."""
    # Anima reads the tokens of another encoder, made states inside the model.
    ids = rest.get("t5xxl_ids")
    return int(states.shape[1] if ids is None else ids.shape[-1])


def _behind(begin: int, beside: Tensor | None) -> Iterator[int]:
    """Places of Llama's states behind T5's, twice, each time without their start token."""
    count = 0 if beside is None else beside.shape[1]
    for start in (begin, begin + count):
        yield from range(start + 1, start + count)


def _starts(context: Tensor, states: Tensor) -> list[int]:
    """Places in a context (B, N, C) where the states (B, M, C) of a text begin."""
    last = context.shape[1] - states.shape[1]
    if last < 0 or context.shape[2:] != states.shape[2:]:
        return []
    rows, wanted = context[0], states[0].to(context.device)
    starts = is_near(rows[: last + 1], wanted[0]).nonzero().flatten().tolist()
    return [i for i in starts if is_near(rows[i : i + len(wanted)], wanted).all()]
