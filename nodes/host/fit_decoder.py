"""Fit a fast decoder to a VAE in the host: gather estimates, fit, measure, write the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ...guidance_core.networks import fast_decoder
from ...guidance_core.networks.fast_decoder import Card, FastDecoder
from ...guidance_core.procedures.decoder_fitting import Fitting, Pairs, decibels, squared_errors
from .fitting_order import Order, gather, pairs_of, shard_of, state_of

TICKS = 1000  # of the progress bar, half of them for gathering
CELLS = 16 * 1024  # latent cells of a step, in 4 to 16 estimates
OFTEN = 100  # steps between two states on disk
SHOWN = 4  # estimates of the comparison


def fitted(order: Order) -> tuple[Card, Tensor]:
    """Make the file, going on where an earlier call was stopped.

    Returns what the file tells of its decoder, and an image (1, 2 H, N W, 3) of estimates that it
    was not fitted to, the VAE's above its own.
    """
    bar, card = comfy.utils.ProgressBar(TICKS), fast_decoder.card_of(order.file)
    if card is None or card.made_by != order.key:
        for number in range(order.runs + 1):
            gather(order, number)
            bar.update_absolute(TICKS // 2 * (number + 1) // (order.runs + 1))
        with torch.inference_mode(False):
            card = _made(order, bar.update_absolute)
    gather(order, order.runs)
    with torch.inference_mode(False), torch.no_grad():
        return card, _comparison(fast_decoder.load(order.file), pairs_of(order, order.runs))


def _made(order: Order, tick: Callable[[int], None]) -> Card:
    parts = [pairs_of(order, number) for number in range(order.runs)]
    pairs = Pairs(*map(torch.cat, zip(*((p.latents, p.images) for p in parts), strict=True)))
    scale = pairs.images.shape[-1] // pairs.latents.shape[-1]
    network = _fitted(order, order.card(scale), pairs, tick)
    errors = squared_errors(network, pairs_of(order, order.runs))
    card = replace(network.card, psnr=round(float(decibels(errors.mean())), 2))
    fast_decoder.save(network, order.file, card)
    for number in range(order.runs):
        shard_of(order, number).unlink()
    state_of(order).unlink(missing_ok=True)
    return card


def _fitted(order: Order, card: Card, pairs: Pairs, tick: Callable[[int], None]) -> FastDecoder:
    """Fit, and keep what there is whatever happens."""
    cells = pairs.latents.shape[-1] * pairs.latents.shape[-2]
    device = comfy.model_management.get_torch_device()
    batch = min(16, max(4, CELLS // cells))
    fitting = Fitting(card, order.steps, batch, order.seed, device)
    comfy.model_management.free_memory(8.0 * batch * cells * fitting.network.kept, device)
    fitting.resume(state_of(order))

    def on_step(step: int, error: float) -> None:
        tick(TICKS // 2 + TICKS // 2 * step // order.steps)
        if step % OFTEN == 0:
            fitting.save(state_of(order))
        comfy.model_management.throw_exception_if_processing_interrupted()

    try:
        with torch.enable_grad():
            fitting.run(pairs, on_step)
    finally:
        fitting.save(state_of(order))
    return fitting.network


def _comparison(network: FastDecoder, pairs: Pairs) -> Tensor:
    rows = torch.linspace(0, len(pairs.latents) - 1, min(SHOWN, len(pairs.latents))).long()
    own = network(pairs.latents[rows]).clamp(0, 1)
    both = torch.cat([pairs.images[rows] / 255, own], 2)
    return torch.cat(list(both), 2).movedim(0, -1)[None]
