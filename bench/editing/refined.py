"""Two objects, neither left out nor mixed up: the latent refined to thresholds."""

from __future__ import annotations

from collections.abc import Mapping

from bench.editing.better_noise import STEPS, is_whole
from bench.editing.sources import CFG, Source, caption, object_words, word
from bench.editing.task import COLOURS, FULL, THERE, Figures, Session, compared
from guidance_core.energies.presence import Presence
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.rules.latent_update import LatentUpdate
from guidance_core.schedules import PercentThresholds, PercentWindow
from guidance_core.shapes import oracle
from guidance_core.shapes.oracle import Verdict
from tools.diffusers_host import Settings, sample

WHEN = PercentWindow(0.15, 0.55, value=0.5)
THRESHOLDS, STOP, ROUNDS = PercentThresholds(((0.2, 0.3), (0.3, 0.2), (0.4, 0.2))), 0.2, 5


def refined(session: Session, seeds: tuple[int, ...]) -> list[Figures]:
    """Images with and without refinement, from the same noise."""
    captions = tuple(caption(seed, 2, FULL) for seed in seeds)
    source = Source(session.shapes, seeds, captions, STEPS)
    rule = LatentUpdate(present(captions[0]), WHEN, stop=STOP, thresholds=THRESHOLDS, rounds=ROUNDS)
    settings = Settings(steps=STEPS, cfg=CFG)
    latents = sample(session.shapes, [rule], settings, positive=captions, noise=source.noise)

    def figures(i: int, verdict: Verdict) -> Mapping[str, float]:
        return {"whole": is_whole(verdict, captions[i])}

    return compared(source, oracle.judge(session.shapes.images(latents)), figures)


def present(text: str) -> WeightedSum:
    """Presence of the colours, and half of that of the nouns."""
    _, colours, nouns = zip(*(object_words(text, number) for number in (0, 1)), strict=True)
    words = lambda names: tuple(word(text, name) for name in names)
    parts = (1.0, Presence(words(colours), COLOURS)), (0.5, Presence(words(nouns), THERE))
    return WeightedSum(parts)
