"""Prompt-to-Prompt: an edit of a prompt that keeps the layout of what the source's prompt shows.

In U-Nets and in transformers of cross-attention the attention to the text is edited and queries and
keys of self-attention are the source's; in joint attention what the image attends to is edited: its
text, and itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ...guidance_core.attention.alignment import (
    Alignment,
    Placed,
    one_behind_another,
    refined,
    replaced,
)
from ...guidance_core.procedures.inversion import Path
from ...guidance_core.schedules import PercentWindow
from .injecting.exchange import check_exchange
from .injecting.injected import injected
from .injecting.injection import TAG, Blend, Injection
from .injecting.unet import self_attending
from .reading.layouts import layout_of
from .reading.prompts import length_of
from .reading.words import SEPARATORS, find_words, placed_words

NAME = "Prompt-to-Prompt"
EDITS = {"replace": replaced, "refine": refined}
FACTOR = re.compile(r"^(?P<words>.+?)\s*:\s*(?P<factor>[-+]?[\d.]+)$")


@dataclass(frozen=True)
class Edit:
    """The widgets of the node.

    Arguments:
        source: prompt of the source.
        target: prompt of the edit.
        kind: "replace" or "refine".
        cross_end: until where attention to the prompt is the source's, in [0, 1]; 0 is never.
        self_end: until where self-attention is.
        most: largest number of places whose self-attention is, in U-Nets.
        weights: lines "word: factor" of the target.
        words: words that the blend attends to, of either prompt; empty for no blend.
        threshold: of the blend.
        start: where the blend begins, in [0, 1).
    """

    source: str
    target: str
    kind: str = "replace"
    cross_end: float = 0.8
    self_end: float = 0.4
    most: int = 1024
    weights: str = ""
    words: str = ""
    threshold: float = 0.3
    start: float = 0.2


def until(end: float) -> PercentWindow | None:
    """The window from the beginning to a position; None for the beginning itself."""
    return PercentWindow(0.0, end) if end else None


def edited(model: Any, clip: Any, edit: Edit, path: Path | None) -> tuple[Any, Any]:
    """Return a MODEL that edits, and the CONDITIONING of the edit.

    Arguments:
        model: MODEL of a U-Net, or of a transformer that looks at text.
        clip: its CLIP.
        edit: what to edit.
        path: of an inverted image; None samples the source first.

    Raises:
        ValueError: another kind of model, prompts that do not fit the edit, or words that are in
            neither.
    """
    network = model.get_model_object("diffusion_model")
    check_exchange(network, NAME)
    encode = lambda text: clip.encode_from_tokens_scheduled(clip.tokenize(text))
    source, target = encode(edit.source), encode(edit.target)
    lengths = tuple(length_of(*part[0]) for part in (source, target))
    layout, tag = layout_of(network), (NAME, edit.source, edit.target)
    layers, ends = tuple(layout.attention), (until(edit.self_end), until(edit.cross_end))
    own = tuple(layout.itself) if layout.laid is not None else self_attending(network)
    injection = Injection(
        NAME,
        source,
        path,
        tag,
        own=((), None) if layout.joint else (own, ends[0]),
        most=edit.most,
        cross=(layers, ends[1]),
        alignment=_alignment(clip, edit, lengths),
        blend=_blend(clip, edit, layout.default, lengths),
        itself=(layers, ends[0]) if layout.joint else ((), None),
    )
    marked = [[states, {**rest, TAG: tag}] for states, rest in target]
    return injected(model, injection), marked


def _alignment(clip: Any, edit: Edit, lengths: tuple[int, int]) -> Alignment:
    if edit.kind not in EDITS:
        raise ValueError(f"edit must be one of {', '.join(EDITS)}, got '{edit.kind}'")
    factors = factors_of(clip, edit)
    prompts = zip((edit.source, edit.target), lengths, strict=True)
    sides = [placed_words(clip, text, length) for text, length in prompts]
    texts = [[[word.text for word in words] for words in side.values()] for side in sides]
    if texts[0] == texts[1] and not factors:
        raise ValueError(
            "both prompts are the same and no word has a weight: change a word of the prompt, or "
            "write one as word: 2 under weights"
        )
    spans = [list(pairwise([*side, length])) for side, length in zip(sides, lengths, strict=True)]
    parts = []
    for there, here in zip(*spans, strict=True):
        words = [
            _moved(side[begin], begin)
            for side, (begin, _) in zip(sides, (there, here), strict=True)
        ]
        own = {place - here[0]: factor for place, factor in factors.items()}
        own = {place: factor for place, factor in own.items() if 0 <= place < here[1] - here[0]}
        parts.append(EDITS[edit.kind](*words, (there[1] - there[0], here[1] - here[0]), own))
    return one_behind_another(parts)


def _moved(words: Sequence[Placed], begin: int) -> list[Placed]:
    """Words with their places in a text that begins there."""
    return [Placed(word.text, tuple(place - begin for place in word.places)) for word in words]


def factors_of(clip: Any, edit: Edit) -> dict[int, float]:
    """Factors of places of the target, of lines such as "red: 2".

    Raises:
        ValueError: a line of another form, or a word that the prompt lacks.
    """
    factors: dict[int, float] = {}
    for line in (part.strip() for part in SEPARATORS.split(edit.weights)):
        if not line:
            continue
        found = FACTOR.match(line)
        factor = _number(found["factor"]) if found else math.nan
        if found is None or not math.isfinite(factor):
            raise ValueError(f"weights must be lines such as red: 2, got '{line}'")
        for word in find_words(clip, edit.target, found["words"]):
            factors |= dict.fromkeys(word.positions, factor)
    return factors


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _blend(
    clip: Any, edit: Edit, layers: tuple[str, ...], lengths: tuple[int, int]
) -> Blend | None:
    phrases = [part.strip() for part in SEPARATORS.split(edit.words) if part.strip()]
    if not phrases:
        return None
    prompts = zip((edit.source, edit.target), lengths, strict=True)
    sides = [_places(clip, text, phrases, length) for text, length in prompts]
    for number, phrase in enumerate(phrases):
        if not (sides[0][number] or sides[1][number]):
            raise ValueError(
                f"expected words of one of the prompts, got '{phrase}', which is in neither: "
                "write words of the prompts under blend_words"
            )
    source, target = (tuple(sorted({p for places in side for p in places})) for side in sides)
    return Blend(source, target, layers, edit.threshold, PercentWindow(edit.start, 1.0))


def _places(clip: Any, prompt: str, phrases: list[str], length: int) -> list[tuple[int, ...]]:
    """Places of each phrase in a prompt's context of this length; none where it is not in it."""
    found = []
    for phrase in phrases:
        try:
            positions = find_words(clip, prompt, phrase)[0].positions
            found.append(tuple(place for place in positions if place < length))
        except ValueError:
            found.append(())
    return found
