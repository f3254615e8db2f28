"""Draw the batches of `transfer` with the pack's own node, inside ComfyUI's python."""

from __future__ import annotations

import importlib
import inspect
import math
from functools import cache
from typing import Any

import torch

from bench import comfyui as host

ksampler = importlib.import_module(f"{host.PACK}.nodes.ksampler")
energies = importlib.import_module(f"{host.PACK}.nodes.energies")
networks = importlib.import_module(f"{host.PACK}.nodes.host.networks")
tokens = importlib.import_module(f"{host.PACK}.nodes.host.tokens")
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
        network = networks.load_classifier("shapes")
        return energies.EnergyClassifier.execute(network, target, 1.0).args[0], ""
    words = tokens.resolved(_parts()[1], PROMPT, PROMPT.removeprefix("a "))
    return position.Position(words, PLACE), PROMPT


def _satisfied(verdict: Any, target: str) -> bool:
    if target != POSITION:
        return verdict.has(target)
    x, y = (128 * part for part in PLACE)
    red = [i for i in verdict.items if (i.colour, i.shape) == ("red", "circle")]
    return any(math.hypot(item.x - x, item.y - y) < NEAR for item in red)


def drawn(
    *, sampler: str, steps: int, guided: bool, target: str, seed: int, batch: int, **ignored: Any
) -> dict[str, list[bool]]:
    """Which pictures of a batch are satisfied, and which are clean."""
    node = ksampler.GuidedKSampler
    with torch.inference_mode():
        model, clip, vae = _parts()
        energy, prompt = _asked(target)
        encoded = [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in (prompt, "")]
        widgets = {i.id: getattr(i, "default", None) for i in node.define_schema().inputs}
        widgets |= {"model": model, "positive": encoded[0], "negative": encoded[1], "vae": vae}
        widgets |= {"energy": energy, "cfg": 1.0, "sampler_name": sampler}
        widgets |= {"latent_image": {"samples": torch.zeros(batch, 4, 16, 16)}}
        widgets |= {"seed": seed, "steps": steps}
        widgets |= {} if guided else {"strength": 0.0}
        known = inspect.signature(node.execute).parameters
        latent = node.execute(**{name: widgets[name] for name in known}).args[0]
        pictures = vae.decode(latent["samples"]).movedim(-1, 1)
    verdicts = oracle.judge(pictures)
    return {
        "satisfied": [_satisfied(verdict, target) for verdict in verdicts],
        "clean": [verdict.clean for verdict in verdicts],
    }
