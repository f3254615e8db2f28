"""Draw the image of the README: unguided beside guided, for four tasks of Shapes.

    python -m tools.demo.hero --tries 16

Samples `--tries` seeds of each task without and with guidance and shows the first three that
succeed: the guided image shows what was asked and nothing broken, the unguided one is as clean and
does not show it. Over each task stands how many of all guided images show what was asked. The
oracle judges from pixels; no guide network takes part.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from guidance_core.attention.words import Word
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.measurement import Measurement
from guidance_core.energies.position import Position
from guidance_core.image.degradations import GaussianBlur
from guidance_core.networks import classifier
from guidance_core.noise import seeded_noise
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.oracle import Verdict
from guidance_core.shapes.scenes import SIDE
from tools.demo.plan import CONFIDENCE, STRENGTH
from tools.diffusers_host import WEIGHTS, Settings, Shapes, load, sample

ROWS = 3
CAPTION, RED, PLACE, NEAR = "a big red circle", Word("red", (3,)), (0.7, 0.3), 0.07
BLUR, NOISE = 3.0, 0.002  # pixels; standard deviation of the measurement's noise
GAP, BETWEEN, HEADING, SEED = 6, 34, 58, 18
PAPER, INK, FAINT, CROSS = (255, 255, 255), (25, 25, 25), (120, 120, 120), (255, 255, 255)


@dataclass(frozen=True)
class Try:
    """One seed of a task: two images (3, 128, 128), and whether each is clean and as asked."""

    seed: int
    before: Tensor
    after: Tensor
    plain: bool
    hit: bool
    contrast: bool


@dataclass(frozen=True)
class Task:
    """What is asked, in two lines, the names of the columns, and how one seed is drawn."""

    title: str
    detail: str
    columns: tuple[str, str]
    attempt: Callable[[Shapes, int], Try]
    cross: tuple[float, float] | None = None


def label(name: str) -> Callable[[Shapes, int], Try]:
    """An empty prompt and a label of the classifier, as in `make demo`."""

    def attempt(model: Shapes, seed: int) -> Try:
        network = classifier.load(WEIGHTS / "classifier.safetensors").to(model.device)
        rule = Forward(ClassLabel(network, name, CONFIDENCE), PercentWindow(value=STRENGTH))
        settings = Settings(seed=seed, batch=1, steps=30, eta=1.0)
        return compared(model, rule, settings, "", lambda verdict: verdict.has(name))

    return attempt


def moved(model: Shapes, seed: int) -> Try:
    """The object of a prompt at a point, as in docs/editing.md."""
    strength = PercentWindow(0.0, 0.9, "linear_down", 4.0)
    rule = Forward(Position((RED,), PLACE), strength, stop=0.02)
    settings = Settings(seed=seed, batch=1, steps=20, cfg=4.0)
    point = torch.tensor(PLACE) * SIDE

    def there(verdict: Verdict) -> bool:
        (item,) = verdict.items if verdict.matches(CAPTION) else (None,)
        return item is not None and bool(
            torch.dist(torch.tensor([item.x, item.y]), point) <= NEAR * SIDE
        )

    return compared(model, rule, settings, CAPTION, there)


def compared(
    model: Shapes,
    rule: Forward,
    settings: Settings,
    prompt: str,
    asked: Callable[[Verdict], bool],
) -> Try:
    """The same seed without the rule and with it."""
    images = [
        model.images(sample(model, rules, settings, positive=prompt)) for rules in ([], [rule])
    ]
    plain, guided = oracle.judge(torch.cat(images))
    hit = guided.clean and asked(guided)
    contrast = hit and plain.clean and not asked(plain)
    return Try(settings.seed, images[0][0], images[1][0], asked(plain), hit, contrast)


def restored(model: Shapes, seed: int) -> Try:
    """A scene from its blurred image, which is also where sampling starts, as in docs/guides.md."""
    scene = scenes.random_scene(torch.Generator().manual_seed(85_000_000 + seed))
    truth, operator = scenes.render([scene]), GaussianBlur(BLUR)
    blurred = operator(truth)
    blurred = blurred + NOISE * seeded_noise(blurred, 85)
    energy = Measurement(blurred.to(model.device), operator, NOISE)
    rule = Backward(energy, PercentWindow(), steps=2, optimiser="polyak")
    settings = Settings(seed=seed, batch=1, steps=6, denoise=0.3)
    start = model.latents(blurred.clamp(0, 1))
    image = model.images(sample(model, [rule], settings, start=start))
    (verdict,) = oracle.judge(image)
    error = [(shown - truth).square().mean() for shown in (blurred, image)]
    hit = verdict.matches(scene.caption()) and bool(error[1] < error[0] / 2)
    return Try(seed, blurred[0], image[0], False, hit, hit)


TASKS = (
    Task("label: red", "Energy: Classifier, empty prompt", ("unguided", "guided"), label("red")),
    Task("label: circle", "the same", ("unguided", "guided"), label("circle")),
    Task("place: at the cross", f"prompt: {CAPTION}", ("unguided", "guided"), moved, PLACE),
    Task("restore: a blur", "Energy: Measurement", ("measured", "guided"), restored),
)


def drawn(task: Task, tries: list[Try]) -> Image.Image:
    """The block of one task: three seeds that succeed, one a row.

    Raises:
        ValueError: fewer seeds than rows succeed.
    """
    shown = [one for one in tries if one.contrast][:ROWS]
    if len(shown) < ROWS:
        raise ValueError(
            f"{task.title}: expected {ROWS} seeds that succeed, got {len(shown)} of {len(tries)}: "
            "raise --tries"
        )
    block = Image.new("RGB", (2 * SIDE + GAP, HEADING + ROWS * (SIDE + SEED)), PAPER)
    draw = ImageDraw.Draw(block)
    rate = f"{sum(one.hit for one in tries)} of {len(tries)} seeds"
    draw.text((0, 0), task.title, INK, ImageFont.load_default(17))
    draw.text((2 * SIDE + GAP, 3), rate, FAINT, ImageFont.load_default(13), anchor="ra")
    draw.text((0, 22), task.detail, FAINT, ImageFont.load_default(13))
    for side, name in enumerate(task.columns):
        draw.text((side * (SIDE + GAP), 40), name, INK, ImageFont.load_default(13))
    for row, one in enumerate(shown):
        top = HEADING + row * (SIDE + SEED)
        for side, image in enumerate((one.before, one.after)):
            block.paste(tile(image, task.cross), (side * (SIDE + GAP), top))
        draw.text((0, top + SIDE + 1), f"seed {one.seed}", FAINT, ImageFont.load_default(12))
    return block


def tile(image: Tensor, cross: tuple[float, float] | None) -> Image.Image:
    """An image (3, 128, 128) in [0, 1], with a thin cross at a point in [0, 1]."""
    pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    found = Image.fromarray(np.ascontiguousarray(pixels))
    if cross:
        x, y = (round(part * SIDE) for part in cross)
        draw = ImageDraw.Draw(found)
        draw.line((x - 5, y, x + 5, y), CROSS)
        draw.line((x, y - 5, x, y + 5), CROSS)
    return found


def main() -> None:
    """Draw all tasks side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=16, help="seeds of each task, from 0 on")
    parser.add_argument("--out", type=Path, default=Path("docs/contact_sheet.png"))
    options = parser.parse_args()
    model, blocks = load(), []
    for task in TASKS:
        tries = [task.attempt(model, seed) for seed in range(options.tries)]
        before, after = sum(one.plain for one in tries), sum(one.hit for one in tries)
        print(f"{task.title}: {after} of {len(tries)}, unguided {before}", flush=True)
        blocks.append(drawn(task, tries))
    width = sum(block.width for block in blocks) + BETWEEN * len(blocks)
    sheet = Image.new("RGB", (width, blocks[0].height + 2 * GAP), PAPER)
    for index, block in enumerate(blocks):
        sheet.paste(block, (BETWEEN // 2 + index * (block.width + BETWEEN), GAP))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(options.out, optimize=True)


if __name__ == "__main__":
    main()
