"""Words of a second prompt read that prompt, wherever it stands, or say that they cannot."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from energy_guidance.guidance_core.attention.words import Context, Word, attention_to
from energy_guidance.guidance_core.energies.position import Position
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.editing.tokens import Tokens
from energy_guidance.nodes.host import guide, networks, shapes
from energy_guidance.tests.host import probe, tiny

THERE = (networks.ASSETS / "unet" / "config.json").is_file()


@dataclass(frozen=True)
class Reading:
    """A rule that keeps the maps of words."""

    words: tuple[Word, ...]
    seen: Any
    strength: Any = field(default_factory=Constant)
    through_model: ClassVar[bool] = True

    @property
    def captures(self):
        return frozenset([attention_to(self.words, "all")])

    def __call__(self, denoise, x, sigma, run):
        estimate = denoise(x, sigma)
        self.seen(estimate.captures[attention_to(self.words, "all")])
        return estimate


FLUX = {"channels": 16, "width": 48, "pooled": 32}
FAMILIES = {"U-Net": (tiny.unet, {}), "Flux": (tiny.flux, FLUX)}
EACH = pytest.mark.parametrize("family", FAMILIES)


def prompt(family, seed, **extra):
    pooled = FAMILIES[family][1].get("pooled")
    extra |= {} if pooled is None else {"pooled_output": torch.ones(1, pooled)}
    return tiny.cond(seed, FAMILIES[family][1].get("width", 32), **extra)


def word(cond, *positions):
    """A word as Prompt Words makes it for this prompt."""
    return (Word("word", positions or (2, 3), True, Context(cond[0][0].clone())),)


def plain(*positions):
    """A word that knows no prompt: it reads the first."""
    return (Word("word", positions or (2, 3)),)


def maps(family, words, positive, steps=1):
    seen = []
    make, options = FAMILIES[family]
    with torch.inference_mode():
        guided = guide.apply(make(), [Reading(words, seen.append)])
        tiny.sample(guided, steps=steps, cfg=1.0, positive=positive, **options)
    assert len(seen) == steps
    return seen[0]


def equal(some, others):
    for one, two in zip(some, others, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


@EACH
def test_combined_prompts_are_told_apart_in_both_orders(family):
    first, second = prompt(family, 1), prompt(family, 3)
    alone = maps(family, plain(), second)
    equal(maps(family, word(second), first + second), alone)
    equal(maps(family, word(second), second + first), alone)
    wrong = maps(family, plain(), first + second)
    assert max((a - b).abs().max() for a, b in zip(wrong, alone, strict=True)) > 1e-4


@EACH
def test_a_concatenated_prompt_is_read_behind_the_first(family):
    first, second = prompt(family, 1), prompt(family, 3)
    joined = [[torch.cat([first[0][0], second[0][0]], 1), first[0][1]]]
    behind = tuple(7 + place for place in (2, 3))
    equal(maps(family, word(second), joined), maps(family, plain(*behind), joined))
    equal(maps(family, word(first), joined), maps(family, plain(), joined))


@EACH
def test_regional_prompts_are_told_apart(family):
    left = torch.zeros(1, 8, 8)
    left[..., :4] = 1
    first = prompt(family, 1, mask=left)
    second = prompt(family, 3, mask=1 - left)
    equal(maps(family, word(second), first + second), maps(family, plain(), prompt(family, 3)))


def test_a_prompt_that_is_inactive_at_a_step_is_not_replaced_by_another():
    first = prompt("U-Net", 1, start_percent=0.0, end_percent=0.3)
    second = prompt("U-Net", 3, start_percent=0.3, end_percent=1.0)
    equal(maps("U-Net", word(first), first + second), maps("U-Net", plain(), prompt("U-Net", 1)))
    with pytest.raises(RuntimeError, match="not evaluated at this step: give it a time range"):
        maps("U-Net", word(second), first + second)


@EACH
def test_words_of_another_prompt_are_refused_before_the_first_step(family):
    calls = []
    make, options = FAMILIES[family]
    with torch.inference_mode():
        guided = guide.apply(make(), [Reading(word(prompt(family, 4)), calls.append)])
        with pytest.raises(ValueError, match="same text and the same text encoder"):
            tiny.sample(guided, positive=prompt(family, 1), **options)
    assert not calls


def test_words_of_two_prompts_at_one_step_are_refused():
    first, second = prompt("U-Net", 1), prompt("U-Net", 3)
    with torch.inference_mode():
        rules = [Reading(word(cond), print) for cond in (first, second)]
        with pytest.raises(ValueError, match="words of several prompts guide the same step"):
            tiny.sample(guide.apply(tiny.unet(), rules), positive=first + second)


@EACH
@pytest.mark.parametrize("second_first", [False, True])
def test_the_slope_of_a_word_of_the_second_prompt_is_that_of_finite_differences(
    family, second_first
):
    first, second = prompt(family, 1), prompt(family, 3)
    make, options = FAMILIES[family]
    energy, records = Position(word(second), (0.2, 0.7), layers="all"), []
    positive = second + first if second_first else first + second
    with torch.inference_mode():
        guided = guide.apply(make(), [probe.Slopes(energy, step=1e-3)], trace=records.append)
        tiny.sample(guided, steps=1, cfg=1.0, positive=positive, **options)
    probe.agree(records[0])


@pytest.mark.parametrize("knows", [True, False], ids=["word", "plain"])
def test_padding_before_the_text_is_no_part_of_it(knows):
    """As FLUX.2 pads its prompt, on the left and to a fixed length."""

    def padded():
        model = tiny.flux()
        stock = model.model.extra_conds

        def extra_conds(cross_attn, **kwargs):
            wider = torch.nn.functional.pad(cross_attn, (0, 0, 9, 0))
            return stock(cross_attn=wider, **kwargs)

        model.model.extra_conds = extra_conds
        return model

    text = prompt("Flux", 1)
    seen, expected = [], []
    by_hand = [[torch.nn.functional.pad(text[0][0], (0, 0, 9, 0)), text[0][1]]]
    with torch.inference_mode():
        words = word(text) if knows else plain()
        for make, chosen, keep, positive in (
            (padded, words, seen, text),
            (tiny.flux, plain(11, 12), expected, by_hand),
        ):
            guided = guide.apply(make(), [Reading(chosen, keep.append)])
            tiny.sample(guided, steps=1, cfg=1.0, positive=positive, negative=text, **FLUX)
    equal(seen[0], expected[0])


@pytest.mark.skipif(not THERE and not os.environ.get("CI"), reason="no embedded model")
def test_a_prompt_box_with_another_text_is_refused():
    with torch.inference_mode():
        model, clip, _ = shapes.load()
        encode = lambda text: clip.encode_from_tokens_scheduled(clip.tokenize(text))
        (words,) = Tokens.execute(clip, "a big red circle", "red").result
        guided = guide.apply(model, [Reading(words, print)])
        result = tiny.sample(guided, 1, positive=encode("a big red circle"), negative=encode(""))
        assert result.isfinite().all()
        with pytest.raises(ValueError, match="same text and the same text encoder"):
            tiny.sample(guided, 1, positive=encode("a small red circle"), negative=encode(""))
