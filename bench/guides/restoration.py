"""Images restored from a measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d, interpolate

from bench.guides.task import Ask, Asked, Figures, scenes_of
from guidance_core.energies.measurement import Measurement
from guidance_core.image.degradations import Operator
from guidance_core.image.masks import masked_mean
from guidance_core.noise import seeded_noise
from guidance_core.procedures.inversion import psnr
from guidance_core.process import per_sample
from guidance_core.rules.backward import Backward
from guidance_core.run import Run
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import scenes
from guidance_core.shapes.scenes import SIDE
from guidance_core.types import Denoiser, Energy, Estimate, Rule
from tools.diffusers_host import Settings, Shapes, sample

NOISE = 0.002  # of a measurement, in [0, 1]
FILLING_RECURRENCES = 2
POLYAK_STEPS = 2
FITTING, FITTING_STEPS, FITTING_LR = 0.9, 20, 0.03


def restored(energy: Energy) -> list[Rule]:
    """Steps of Polyak's size at the estimate, to the end."""
    window = PercentWindow(0.0, 1.0)
    return [Backward(energy, window, steps=POLYAK_STEPS, optimiser="polyak")]


def rules_fitting(energy: Energy) -> list[Rule]:
    """As `restored`, but finer at the end, where no latent shows the image exactly.

    Polyak's steps would overshoot there.
    """
    rough, fine = PercentWindow(0.0, FITTING), PercentWindow(FITTING, 1.0)
    return [
        Backward(energy, rough, steps=POLYAK_STEPS, optimiser="polyak"),
        Backward(energy, fine, "absolute", FITTING_STEPS, "adam", FITTING_LR),
    ]


def restoring(
    operator: Operator,
    missing: Tensor | None = None,
    rules: Callable[[Energy], list[Rule]] = restored,
) -> Ask:
    """Scenes to be restored from a measurement with a little noise, starting from it."""

    def asked(model: Shapes, seed: int, batch: int) -> Asked:
        drawn = scenes_of(seed, batch)
        truth = scenes.render(drawn)
        seen = operator(truth)
        seen = seen + NOISE * seeded_noise(seen, 85)
        known = None if missing is None else 1 - missing
        before = start = interpolate(seen, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
        if known is not None:
            start = filled(model, before, known, [scene.caption() for scene in drawn])
            before = before * known

        def figures_of(images: Tensor) -> Figures:
            # What was measured is put back, as the template inpainting does.
            whole = images if known is None else torch.lerp(images, seen, known)
            error = masked_mean((operator(images) - seen).square(), known)
            consistency = -10 * error.clamp_min(1e-12).log10()
            return {"PSNR": psnr(whole, truth), "consistency": consistency}

        energy = Measurement(seen.to(model.device), operator, NOISE, known)
        return Asked(rules(energy), figures_of, start, before=before)

    return asked


@dataclass(frozen=True, eq=False)
class Hold:
    """What ComfyUI's sampler does under a noise mask: known latents are put back at every step."""

    latents: Tensor
    known: Tensor

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One evaluation."""
        noise = run.noise(x, 2)
        noisy = self.latents + per_sample(sigma, x) * noise
        estimate = denoise(torch.lerp(x, noisy, self.known), sigma)
        return estimate.moved((self.latents - estimate.x0) * self.known)


def filled(model: Shapes, images: Tensor, known: Tensor, captions: Sequence[str]) -> Tensor:
    """Images whose missing part the model filled in latents, as inpainting in ComfyUI does."""
    ground = (images * known).sum((2, 3), keepdim=True) / known.sum()
    latents = model.latents(torch.lerp(ground, images, known))
    cells = -adaptive_max_pool2d(-known[None, None], latents.shape[2:])
    settings = Settings(batch=1, steps=20, cfg=4.0, recurrences=FILLING_RECURRENCES)
    made = [
        sample(model, [Hold(row[None], cells.to(row))], settings, positive=caption)
        for row, caption in zip(latents, captions, strict=True)
    ]
    return model.images(torch.cat(made))


def centre() -> Tensor:
    """The middle quarter of an image is missing, as in the inpainting of DPS."""
    missing = torch.zeros(SIDE, SIDE)
    missing[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] = 1
    return missing


def gained(before: Figures, after: Figures) -> bool:
    gain = (after["PSNR"] - before["PSNR"]).mean()
    return bool(gain >= 3 and after["consistency"].median() >= 40)
