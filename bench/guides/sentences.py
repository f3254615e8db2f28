"""Scenes that a sentence asks for, with an empty prompt."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.guides.task import Asked, Figures
from guidance_core.energies.clip_text import ClipText
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle
from guidance_core.shapes.oracle import Verdict
from tools.diffusers_host import Shapes, guide_network

SENTENCES = ("a big blue square", "a small red circle", "a big yellow triangle")
ENOUGH, SAYING = 0.38, 1.4  # cosine at which an image is done; strength of the rules, relative
TRYING = 0.8  # strength where an image is tried again
REFINING = 2  # steps of Rule: Backward


def said(strength: float, refined: bool, model: Shapes, seed: int, batch: int) -> Asked:
    """One sentence a batch, each in its turn; by Forward, and where refined by Backward besides."""
    sentence = SENTENCES[(seed // batch) % len(SENTENCES)]
    words = set(sentence.split()) - {"a"}

    def figures_of(images: Tensor) -> Figures:
        shown = [_shows(words, verdict) for verdict in oracle.judge(images)]
        return {"as asked": torch.tensor(shown, dtype=torch.float32)}

    network = guide_network("open_clip", model.device)
    # No crops: the CLIP of Shapes knows whole scenes only.
    energy = ClipText(network, sentence, cutouts=0, enough=ENOUGH)
    always = PercentWindow(0.0, 1.0, value=strength)
    backward = [Backward(energy, always, steps=REFINING, optimiser="gd")] * refined
    return Asked([Forward(energy, always), *backward], figures_of)


def _shows(words: set[str], verdict: Verdict) -> bool:
    there = any(words <= {item.size, item.colour, item.shape} for item in verdict.items)
    return there and verdict.clean
