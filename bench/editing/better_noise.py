"""Objects that the model would leave out, brought back by the noise that sampling begins from."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from bench.editing.sources import CFG, Each, Source, caption, found, object_words, word
from bench.editing.task import COLOURS, FULL, PLAIN, Figures, Session, compared
from guidance_core.compose import guided as steered
from guidance_core.energies.clip_text import ClipText
from guidance_core.energies.presence import Presence
from guidance_core.noise import mixed_seed
from guidance_core.procedures.initial_noise import Found, NoiseSearch
from guidance_core.procedures.noise_seeking import NoiseSeeking
from guidance_core.run import Run
from guidance_core.shapes import oracle
from guidance_core.shapes.oracle import Verdict
from guidance_core.types import Energy
from tools.diffusers_host import Settings, Shapes, denoiser, guide_network, sample

# As many draws, and the energy at which one is taken: a colour owns four fifths of the text.
STEPS, AHEAD, ROUNDS, THRESHOLD = 10, 4, 8, 0.2
# The same of the angle between an estimate and its caption of so many objects, in the Shapes' CLIP:
# how far ahead, and the threshold. Three are told apart late.
BY_SENTENCE = {2: (6, 0.85), 3: (8, 0.65)}


def begun(
    count: int, *, by_sentence: bool = False
) -> Callable[[Session, tuple[int, ...]], list[Figures]]:
    """Images from the noise of their seeds, and from the noise that was sought for each.

    Three objects take the LoRA for them, and captions without articles, so that all words stand
    where training had words.
    """

    def rows(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
        captions = tuple(caption(seed, count, FULL if count == 2 else PLAIN) for seed in seeds)
        prompts = captions if count == 2 else tuple(text.replace("a ", "") for text in captions)
        shapes = session.shapes if count == 2 else session.crowded
        source = Source(shapes, seeds, prompts, STEPS)
        if by_sentence:
            ahead, angle = BY_SENTENCE[count]
            better = sought(source, sentences(shapes, captions), angle, ahead)
        else:
            energy = energy_of(captions[0], prompts[0], count)
            better = sought(source, energy, THRESHOLD, AHEAD)
        settings = Settings(steps=STEPS, cfg=CFG)
        latents = sample(shapes, [], settings, positive=prompts, noise=better.noise * unit(source))
        guided = oracle.judge(shapes.images(latents))

        def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
            chosen = {"draw": int(better.rounds[i])} if verdict is guided[i] else {}
            there = [found(verdict, object_words(captions[i], k)) for k in range(count)]
            return {"complete": all(there), "whole": is_whole(verdict, captions[i]), **chosen}

        return compared(source, guided, figures)

    return rows


def is_whole(verdict: Verdict, text: str) -> bool:
    """Whether an image shows all objects of a caption, rightly bound, and nothing else."""
    names = [set(part.split()[1:]) for part in text.split(" and ")]
    shown = [{item.size, item.colour, item.shape} for item in verdict.items]
    # No two objects of a caption share a colour, so that each item can stand for one alone.
    return len(shown) == len(names) and all(any(own <= item for item in shown) for own in names)


def energy_of(text: str, prompt: str, count: int) -> Presence:
    """Presence of the colours: of all words theirs tell best what will be there."""
    named = [object_words(text, number)[-2] for number in range(count)]
    return Presence(tuple(word(prompt, name) for name in named), COLOURS)


def sentences(shapes: Shapes, captions: tuple[str, ...]) -> Each:
    """CLIP Text of each image's own caption."""
    network = guide_network("open_clip", shapes.device)
    return Each(tuple(ClipText(network, text, cutouts=0) for text in captions))


def unit(source: Source) -> float:
    """By how much noise is multiplied at the first noise level."""
    return float((1 + source.sigmas[0] ** 2) ** 0.5)


def sought(source: Source, energy: Energy, threshold: float, ahead: int) -> Found:
    """The noise of each seed where the run begins well, or the best of other draws."""
    search = NoiseSearch(iterations=0, rounds=ROUNDS, threshold=threshold)
    results, sigmas = list[Found](), source.sigmas

    def draw(number: int) -> Tensor:
        seeds = [mixed_seed(seed, number) if number else seed for seed in source.seeds]
        return source.noise_of(seeds) / unit(source)

    sink = lambda one: results.append(one)
    rule = NoiseSeeking(energy, search, draw, unit(source), sink, ahead=ahead)
    prompts = source.shapes.encode(list(source.captions)), source.shapes.encode([""])
    seek = steered(
        [rule], denoiser(source.shapes, *prompts, CFG, [rule]), Run(torch.ones_like, sigmas)
    )
    with torch.no_grad():
        seek(source.noise, sigmas[:1].expand(len(source.seeds)))
    return results[0]
