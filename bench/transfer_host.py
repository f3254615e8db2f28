"""Draw the batches of `transfer` with the pack's own node, inside ComfyUI's python."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from functools import cache
from typing import Any

import torch

sys.path.insert(0, os.environ["COMFYUI_PATH"])
# As main.py does: later on, comfy/utils.py would take this name.
importlib.import_module("utils.extra_config")

from bench import comfyui as host  # noqa: E402

ksampler = importlib.import_module(f"{host.PACK}.nodes.ksampler")
networks = importlib.import_module(f"{host.PACK}.nodes.host.networks")
classifier = importlib.import_module(f"{host.PACK}.guidance_core.energies.classifier")
oracle = importlib.import_module(f"{host.PACK}.guidance_core.shapes.oracle")


@cache
def _parts() -> tuple[Any, Any, Any, Any]:
    """MODEL, CONDITIONING of the empty prompt, VAE and the classifier."""
    model, clip, vae = host.shapes.load()
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    return model, empty, vae, networks.load_classifier("shapes")


def drawn(
    *, sampler: str, steps: int, guided: bool, label: str, seed: int, batch: int, **ignored: Any
) -> dict[str, list[bool]]:
    """Which pictures of a batch are satisfied, and which are clean."""
    node = ksampler.GuidedKSampler
    with torch.inference_mode():
        model, empty, vae, network = _parts()
        widgets = {i.id: getattr(i, "default", None) for i in node.define_schema().inputs}
        widgets |= {"model": model, "positive": empty, "negative": empty, "vae": vae}
        widgets |= {"energy": classifier.ClassLabel(network, label), "cfg": 1.0}
        widgets |= {"latent_image": {"samples": torch.zeros(batch, 4, 16, 16)}}
        widgets |= {"seed": seed, "steps": steps, "sampler_name": sampler}
        if not guided:
            widgets |= {"strength": 0.0}
        known = inspect.signature(node.execute).parameters
        latent = node.execute(**{name: widgets[name] for name in known}).args[0]
        pictures = vae.decode(latent["samples"]).movedim(-1, 1)
    verdicts = oracle.judge(pictures)
    return {
        "satisfied": [verdict.has(label) for verdict in verdicts],
        "clean": [verdict.clean for verdict in verdicts],
    }
