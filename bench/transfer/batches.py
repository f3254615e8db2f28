"""Batches sampled by the pack's own node, inside ComfyUI's python."""

from __future__ import annotations

import importlib
import inspect
import math
from functools import cache
from typing import Any

import torch

from bench.cost import comfyui as host
from bench.transfer import mixture
from bench.transfer.page import MIXTURE

ksampler = importlib.import_module(f"{host.PACK}.nodes.sampling.ksampler")
classifier = importlib.import_module(f"{host.PACK}.nodes.energies.classifier")
networks = importlib.import_module(f"{host.PACK}.nodes.host.networks")
tokens = importlib.import_module(f"{host.PACK}.nodes.host.reading.words")
position = importlib.import_module(f"{host.PACK}.guidance_core.energies.position")
oracle = importlib.import_module(f"{host.PACK}.guidance_core.shapes.oracle")

POSITION, PROMPT, PLACE = "position", "a big red circle", (0.3, 0.7)
NEAR = 12.0  # pixels


@cache
def _parts() -> tuple[Any, Any, Any]:
    """MODEL, CLIP and VAE of Shapes."""
    return host.shapes.load()


@cache
def _asked(target: str) -> tuple[Any, str]:
    """Energy and prompt of a target: a label of the classifier, or the place of words."""
    if target != POSITION:
        network = networks.load(networks.CLASSIFIER, "shapes")
        return classifier.EnergyClassifier.execute(network, target, 1.0).args[0], ""
    words = tokens.find_words(_parts()[1], PROMPT, PROMPT.removeprefix("a "))
    return position.Position(words, PLACE), PROMPT


def _satisfied(verdict: Any, target: str) -> bool:
    if target != POSITION:
        return verdict.has(target)
    x, y = (128 * part for part in PLACE)
    red = [i for i in verdict.items if (i.colour, i.shape) == ("red", "circle")]
    return any(math.hypot(item.x - x, item.y - y) < NEAR for item in red)


def measured(
    *, sampler: str, steps: int, guided: bool, target: str, seed: int, batch: int, **ignored: Any
) -> dict[str, int]:
    """How many images of a batch are satisfied, and how many are clean."""
    widgets = {"seed": seed, "steps": steps, "sampler_name": sampler, "cfg": 1.0}
    widgets |= {} if guided else {"strength": 0.0}
    with torch.inference_mode():
        found = (
            _of_mixture(batch, widgets) if target == MIXTURE else _of_shapes(target, batch, widgets)
        )
    return {name: sum(flags) for name, flags in found.items()}


def _sampled(widgets: dict[str, Any]) -> torch.Tensor:
    """Latents that the node samples with these widgets, and its defaults for the others."""
    node = ksampler.GuidedKSampler
    widgets = {i.id: getattr(i, "default", None) for i in node.define_schema().inputs} | widgets
    known = inspect.signature(node.execute).parameters
    return node.execute(**{name: widgets[name] for name in known}).args[0]["samples"]


def _of_mixture(batch: int, widgets: dict[str, Any]) -> dict[str, list[bool]]:
    model, empty = mixture.model(), [[torch.zeros(1, 7, 32), {}]]
    latent = {"samples": torch.zeros(batch, 4, mixture.SIDE, mixture.SIDE)}
    parts = {"model": model, "positive": empty, "negative": empty, "latent_image": latent}
    samples = _sampled({**widgets, **parts, "energy": mixture.Label()})
    return mixture.verdicts(model.model.process_latent_in(samples))


def _of_shapes(target: str, batch: int, widgets: dict[str, Any]) -> dict[str, list[bool]]:
    model, clip, vae = _parts()
    energy, prompt = _asked(target)
    encoded = [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in (prompt, "")]
    parts = {"model": model, "positive": encoded[0], "negative": encoded[1], "vae": vae}
    latent = {"samples": torch.zeros(batch, 4, 16, 16)}
    samples = _sampled({**widgets, **parts, "energy": energy, "latent_image": latent})
    verdicts = oracle.judge(vae.decode(samples).movedim(-1, 1))
    return {
        "satisfied": [_satisfied(verdict, target) for verdict in verdicts],
        "clean": [verdict.clean for verdict in verdicts],
    }
