"""Ways of guiding at a lower price, what each is asked, and what it does and costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from bench.cost.operations import counted
from bench.quality.tasks import TASKS as ASKED
from bench.quality.tasks import Task
from bench.records import Row, fingerprint_with
from guidance_core.gradients import at_estimate, through_model
from guidance_core.rules.forward import Forward
from guidance_core.rules.manifold import Manifold
from guidance_core.schedules import Constant, EveryNth, PercentWindow, Scaled, WhenMoved
from guidance_core.shapes import oracle
from guidance_core.shapes.scenes import Scene
from guidance_core.trace import Record
from guidance_core.types import Energy, Rule, Schedule
from tools.diffusers_host import LEVELS, Settings, Shapes, denoiser, load, sample, starting_noise

FIRST_SEED = 50_000_000  # no other benchmark draws from there
UNSEEN = 51_000_000  # judged after the settings were chosen
STEPS, UNTIL, CONFIDENCE = 20, 0.7, 0.9  # the window is the nodes' own, the confidence too
RULES: dict[str, Callable[..., Rule]] = {"Forward": Forward, "Manifold": Manifold}
LONG = "CLIP text in 100 steps"  # in 20 hardly any image shows what the sentence says


def _long(task: Task) -> Task:
    """The sentence as its template asks for it: with a cosine that is enough."""
    return replace(task, name=LONG, build=lambda *inputs: replace(task.build(*inputs), enough=0.38))


_LABELS = tuple(task for task in ASKED if task.name in ("colour label", "shape label"))
(_SENTENCE,) = (task for task in ASKED if task.name == "CLIP text")
TASKS = (*_LABELS, _SENTENCE)
LATER = (*_LABELS, _long(_SENTENCE))  # asked on seeds that had no part in choosing
# Of the nodes' pages.
STRENGTHS = {"colour label": 0.8, "shape label": 0.8, "CLIP text": 1.4, LONG: 1.4}


@dataclass(frozen=True)
class Cell:
    """One way of guiding; without a rule, none.

    Arguments:
        rule: its name.
        decoder: vae, fitted or rgb.
        every: acts at every n-th step.
        moved: fraction of the standard deviation by which the estimate has to have moved; 0 is off.
        depth: share of the model's blocks that the gradient goes through.
        factor: of the strength.
    """

    rule: str = "Forward"
    decoder: str = "vae"
    every: int = 1
    moved: float = 0.0
    depth: float = 1.0
    factor: float = 1.0


PLAIN, EXACT = Cell(rule=""), Cell()
FITTED = Cell(decoder="fitted")
MANIFOLD = replace(FITTED, rule="Manifold")
CELLS: tuple[Cell, ...] = (
    *(PLAIN, EXACT, Cell(decoder="rgb"), FITTED),
    *(replace(FITTED, every=every) for every in (2, 3)),
    *(replace(FITTED, depth=0.5, every=every) for every in (1, 2, 3)),
    replace(FITTED, moved=0.2),
    MANIFOLD,
    replace(MANIFOLD, every=2),
    replace(MANIFOLD, moved=0.2),
    Cell(every=2),
    Cell(moved=0.2),
    Cell(decoder="rgb", every=2, depth=0.5),
)


@dataclass(frozen=True)
class Seen(Shapes):
    """Shapes whose estimates are shown to energies by another decoder.

    Arguments:
        shown: decodes latents (B, 4, 16, 16) to images (B, 3, H, W) in [0, 1].
    """

    shown: Callable[[Tensor], Tensor] = torch.clone

    def decode(self, x0: Tensor) -> Tensor:
        """What energies are shown."""
        return self.shown(x0)


@cache
def model() -> Shapes:
    """The model with its VAE."""
    return load()


@cache
def seen_by(decoder: str) -> Shapes:
    """The model with what a decoder shows of its estimates."""
    own = model()
    shown = _linear(own) if decoder == "rgb" else own.decoder(decoder)
    return Seen(own.unet, own.vae, own.text_encoder, shown)


def _linear(own: Shapes) -> Callable[[Tensor], Tensor]:
    factors = torch.tensor(own.vae.config.latent_rgb_factors)
    bias = torch.tensor(own.vae.config.latent_rgb_bias).view(3, 1, 1)
    return lambda x0: ((torch.einsum("bchw,cr->brhw", x0, factors) + bias + 1) / 2).clamp(0, 1)


def steps_of(task: Task) -> int:
    """Sampling steps."""
    return 100 if task.name == LONG else STEPS


def rules_of(cell: Cell, task: Task, energy: Energy) -> list[Rule]:
    """The cell's rule for a task; none without guidance."""
    if not cell.rule:
        return []
    when: Schedule = PercentWindow(0.0, 1.0 if task.name == LONG else UNTIL)
    when = when if cell.every == 1 else EveryNth(when, cell.every)
    when = WhenMoved(when, cell.moved) if cell.moved else when
    strength = Scaled(when, cell.factor * STRENGTHS[task.name])
    deep = {"depth": cell.depth} if cell.rule == "Forward" else {}
    return [RULES[cell.rule](energy, strength, **deep)]


@dataclass(frozen=True)
class Price:
    """Operations in units of one evaluation of the model for one image.

    Arguments:
        gradient: of an energy's gradient, with the decoder, the guide network and what goes back
            through the model.
        seen: the part of it that is left where the energy is met: nothing goes back through.
    """

    gradient: float
    seen: float


@cache
def price(cell: Cell, task: Task) -> Price:
    """What a gradient costs beside the evaluation that a plain step has too."""
    shown, energy = seen_by(cell.decoder), task.build(model().device, torch.empty(0), 1.0)
    deep = {"depth": cell.depth} if cell.rule == "Forward" else {}
    rules = [RULES[cell.rule](energy, Constant(), **deep)]
    level = LEVELS.normal(STEPS)[5]
    x = starting_noise(shown, Settings(batch=1), level)
    text = shown.encode([""])
    denoise = denoiser(shown, text, text, 1.0, rules)
    with torch.no_grad():
        plain = counted(lambda: denoise(x, level[None]))
        estimate = denoise(x, level[None])
    seen = counted(lambda: at_estimate(energy, estimate)) / plain
    if cell.rule == "Manifold":
        return Price(seen, seen)
    return Price(counted(lambda: through_model(energy, denoise, x, level[None])) / plain - 1, seen)


def weights(task: Task, cell: Cell) -> str:
    """Fingerprint of the weights that take part."""
    fitted = ("fast_decoder",) if cell.decoder == "fitted" else ()
    return fingerprint_with((*task.networks, *fitted))


def measured(job: Row) -> dict[str, Any]:
    """What the oracle says of each image of a batch, and what each cost beside a plain run's."""
    cell = Cell(**{name: job[name] for name in Cell.__dataclass_fields__})
    task = next(task for task in (*TASKS, *LATER) if task.name == job["task"])
    settings = Settings(seed=job["seed"], batch=job["batch"], steps=steps_of(task), eta=1.0)
    energy = task.build(model().device, torch.empty(0), CONFIDENCE)
    taken, slopes = torch.zeros(job["batch"]), torch.zeros(job["batch"])

    def note(record: Record) -> None:
        there = torch.ones_like(taken) if record.taken is None else record.taken.float()
        taken.add_(there)
        slopes.add_(there * (record.grad_norm > 0))

    latents = sample(seen_by(cell.decoder), rules_of(cell, task, energy), settings, record=note)
    images = model().images(latents)
    verdicts = oracle.judge(images)
    cost = torch.ones_like(taken)
    if cell.rule:
        own = price(replace(cell, every=1, moved=0.0, factor=1.0), task)
        cost += (slopes * own.gradient + (taken - slopes) * own.seen) / steps_of(task)
    return {
        "satisfied": [task.satisfied(verdict, Scene(())) for verdict in verdicts],
        "clean": [verdict.clean for verdict in verdicts],
        "taken": [int(count) for count in taken],
        "cost": [round(float(each), 4) for each in cost],
    }
