"""How much a prompt is obeyed, and how varied the images stay, over the scale of CFG.

Asked is a colour and a shape; place and size are left open, and captions never name a place. Spread
is what the oracle reads of them: standard deviations of the place and of the size of the objects,
beside those of drawn scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import markdown
from bench.cfg.tasks import COLOURS, FIRST_SEED, SHAPES
from bench.records import MODEL, Row, fingerprint
from guidance_core.shapes import oracle
from guidance_core.shapes.scenes import Item
from tools.diffusers_host import Settings, Shapes, sample
from tools.shapes.unseen import scenes_from

NAME = "scale"
GAMMAS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
PROMPTS = [f"a {colour} {shape}" for colour, shape in zip(COLOURS, SHAPES, strict=True)]
HEAD = ("gamma", "w", "obeyed and clean", "spread of place", "spread of size", "images")
DRAWN = 512  # scenes that spreads are compared with


def jobs(batches: Sequence[tuple[int, int]]) -> list[Row]:
    """Every batch asked for, the first seeds of all scales first."""
    weights = fingerprint(*MODEL)
    return [
        {"task": NAME, "cfg": gamma, "weights": weights, "seed": seed, "batch": size}
        for seed, size in batches
        for gamma in GAMMAS
    ]


def measured(model: Shapes, job: Row) -> dict[str, list[Any]]:
    """What the oracle says of each image of a batch: obeyed and clean, and its objects."""
    seed, count = FIRST_SEED + int(job["seed"]), int(job["batch"])
    prompts = [PROMPTS[(seed + i) % len(PROMPTS)] for i in range(count)]
    settings = Settings(seed=seed, batch=count, cfg=job["cfg"])
    images = model.images(sample(model, [], settings, positive=prompts))
    verdicts = oracle.judge(images)
    return {
        "kept": [one.matches(prompt) for one, prompt in zip(verdicts, prompts, strict=True)],
        "objects": [[_numbers(item) for item in one.items] for one in verdicts],
    }


def _numbers(item: Item) -> list[float]:
    return [round(item.x, 2), round(item.y, 2), round(item.radius, 2)]


def spreads(objects: Sequence[Sequence[Sequence[float]]]) -> tuple[float, float]:
    """Of place and of size, as fractions of those of drawn scenes; of x, y, radius by image."""
    own, drawn = _deviations(objects), _deviations(_drawn())
    place = lambda part: float(part[:2].square().mean().sqrt())
    return place(own) / place(drawn), float(own[2] / drawn[2])


def _drawn() -> list[list[list[float]]]:
    return [[_numbers(item) for item in scene.items] for scene in scenes_from(86_000_000, DRAWN, 1)]


def _deviations(objects: Sequence[Sequence[Sequence[float]]]) -> Tensor:
    return torch.tensor([one for image in objects for one in image]).std(0)


def points(rows: Sequence[Row]) -> list[dict[str, float]]:
    """Of each scale: gamma, obeyed and clean with its standard error, both spreads, images."""
    found = []
    for gamma in sorted({row["cfg"] for row in rows}):
        own = [row for row in rows if row["cfg"] == gamma]
        kept = torch.tensor([flag for row in own for flag in row["kept"]]).double()
        place, size = spreads([image for row in own for image in row["objects"]])
        share = float(kept.mean())
        error = (share * (1 - share) / len(kept)) ** 0.5
        figures = {"gamma": gamma, "kept": share, "error": error}
        found.append({**figures, "place": place, "size": size, "images": len(kept)})
    return found


def table(found: Sequence[dict[str, float]]) -> list[str]:
    """The scales in Markdown."""
    return markdown.table(
        HEAD,
        [
            [
                f"{one['gamma']:g}",
                f"{one['gamma'] - 1:g}",
                f"{100 * one['kept']:.0f} ± {100 * one['error']:.0f}",
                f"{one['place']:.2f}",
                f"{one['size']:.2f}",
                str(int(one["images"])),
            ]
            for one in found
        ],
    )


def draw(found: Sequence[dict[str, float]], path: Path) -> None:
    """Fidelity over diversity, a point for each scale, named by its w."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for name, marker in (("place", "o"), ("size", "s")):
        across, up = [one[name] for one in found], [one["kept"] for one in found]
        axes.plot(across, up, marker=marker, label=f"spread of {name}")
        for x, y, one in zip(across, up, found, strict=True):
            text = f"w {one['gamma'] - 1:g}"
            # Upright: scales that all obey stand close to each other.
            axes.annotate(text, (x, y), (-3, 7), textcoords="offset points", rotation=90)
    axes.set(xlabel="spread, as a fraction of drawn scenes", ylabel="obeyed and clean")
    axes.set_ylim(-0.05, 1.2)
    axes.legend(loc="center left")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
