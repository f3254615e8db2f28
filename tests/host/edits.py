"""What tests of edits share: one evaluation of a model, and how far results are apart."""

from __future__ import annotations

import comfy.samplers
import torch
from energy_guidance.guidance_core.attention.alignment import Alignment
from energy_guidance.guidance_core.procedures.inversion import Path

PLACES = 7


def mixed():
    """An alignment with words swapped, words of one's own, and factors."""
    matrix = torch.eye(PLACES).roll(1, 0)
    share = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.5, 1.0, 1.0])
    return Alignment(matrix, share, torch.tensor([1.0, 1.0, 1.0, 2.0, 1.0, 1.0, -1.0]))


def same():
    return Alignment(torch.eye(PLACES), torch.ones(PLACES), torch.ones(PLACES))


def near(a, b):
    return float((a - b).norm() / b.norm())


def hooks(model):
    return sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks)
        for part in model.model.diffusion_model.modules()
    )


def standing_path(x, sigma):
    """A path whose state is x at sigma."""
    return Path(torch.tensor([sigma, 0.0]), torch.stack([x, x]))


def one_step(model, positive, negative, x, sigma, cfg=1.0):
    """The model's estimate at x by a stock guider."""
    answers = []

    def look(network, noise, sigmas, extra_args=None, **options):
        level = sigmas[:1].expand(len(x))
        answers.append(network.inner_model(x.clone(), level, extra_args["model_options"], seed=1))
        return noise

    with torch.inference_mode():
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(positive, negative)
        guider.set_cfg(cfg)
        levels = torch.tensor([sigma, 0.0])
        sampler = comfy.samplers.KSAMPLER(look)
        guider.sample(torch.zeros_like(x), torch.zeros_like(x), sampler, levels, disable_pbar=True)
    return answers[0]
