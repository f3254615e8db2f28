"""One word of a prompt swapped: what is compared, its rows and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from bench import markdown
from bench.records import MODEL, Row, fingerprint

TASK = "swap a word"
# Captions and noise are drawn from seeds of their own.
FIRST = 70_000_000
BATCH = 8
UNET, TRANSFORMER = "unet", "transformer"
# Steps, CFG and scheduler; the guidance of CFG 4 is in the transformer's weights.
SAMPLING = {UNET: (10, 4.0, "normal"), TRANSFORMER: (20, 1.0, "simple")}
# Pixels around an object that its edges and the decoder reach.
AROUND = 6


@dataclass(frozen=True)
class Method:
    """A way to edit.

    Arguments:
        settings: of the nodes, in their words.
        evaluations: rows of the network for an image and step, the source's among them; a backward
            pass counts as two.
        network: unet or transformer.
        objects: of a caption.
    """

    settings: str
    evaluations: float
    network: str = UNET
    objects: int = 2


METHODS = {
    "Prompt-to-Prompt": Method("replace, 0.8 and 0.4, blend words: the colours", 5),
    "the prompt alone": Method("", 2),
    "Plug-and-Play": Method("0.8 and 0.5", 5),
    "Keep Attention": Method("Forward, relative, strength 0.1 until 0.5", 5),
    "Keep Features": Method("Forward, relative, strength 0.5 until 0.5", 5),
    "Flow Edit": Method(
        "Shapes as a flow, 20 steps, simple, n_max 16 (shape) and 14 (colour), cfg 5.5 and 1.5", 4
    ),
    "Flow Edit, direct path": Method(
        "the same, along the path of Invert, 20 steps, 1 iteration, CFG 1", 5
    ),
    "Prompt-to-Prompt, joint attention": Method(
        "the transformer; replace, 0.4 and 0.4, no blend words", 3, TRANSFORMER, 1
    ),
    "the prompt alone, joint attention": Method("the transformer", 1, TRANSFORMER, 1),
    "Prompt-to-Prompt, joint attention, two objects": Method(
        "the same, of captions of two objects", 3, TRANSFORMER
    ),
    "the prompt alone, joint attention, two objects": Method(
        "the transformer, of captions of two objects", 1, TRANSFORMER
    ),
    "Plug-and-Play, joint attention": Method("the transformer; 0.1 and 0.1", 3, TRANSFORMER, 1),
    "Plug-and-Play, joint attention, as long as in U-Nets": Method(
        "the transformer; 0.8 and 0.5", 3, TRANSFORMER, 1
    ),
    "Keep Attention, joint attention": Method(
        "the transformer; Forward, relative, strength 0.1 until 0.5", 3, TRANSFORMER, 1
    ),
    "Keep Features, joint attention": Method(
        "the transformer; Forward, relative, strength 0.5 until 0.5", 3, TRANSFORMER, 1
    ),
}
# Until where Prompt-to-Prompt keeps what words and image attend to, and Plug-and-Play features and
# attention; of the transformer chosen on other seeds (24 images of each swap).
WORD_ENDS = {UNET: (0.8, 0.4), TRANSFORMER: (0.4, 0.4)}
PLUG_ENDS = {
    "Plug-and-Play": (0.8, 0.5),
    "Plug-and-Play, joint attention": (0.1, 0.1),
    "Plug-and-Play, joint attention, as long as in U-Nets": (0.8, 0.5),
}
GIVEN = ("Flow Edit", "Flow Edit, direct path")  # edit a finished image
SWAPS = {
    "circle to square": ("shape", "circle", "square"),
    "red to blue": ("colour", "red", "blue"),
}
COLUMNS = (
    *("swap", "by", "shows it", "its other attributes kept", "its median drift"),
    *("the other object kept", "its median drift", "PSNR outside, dB"),
    *("evaluations", "images", "settings"),
)


def weights_of(method: Method) -> str:
    """Fingerprint of the networks that a method runs."""
    return fingerprint(*MODEL, *((TRANSFORMER,) if method.network == TRANSFORMER else ()))


def jobs(seeds: int, methods: Sequence[str]) -> list[Row]:
    """Every batch asked for, one method after another."""
    return [
        {
            "weights": weights_of(METHODS[name]),
            "task": TASK,
            "settings": METHODS[name].settings,
            "method": name,
            "swap": swap,
            "seed": seed,
        }
        for name in methods
        for seed in range(0, seeds, BATCH)
        for swap in SWAPS
    ]


def known() -> list[Mapping[str, str]]:
    """What rows of today's weights and settings say."""
    return [
        {
            "weights": weights_of(method),
            "task": TASK,
            "method": name,
            "settings": method.settings,
        }
        for name, method in METHODS.items()
    ]


def table(rows: Sequence[Row]) -> list[str]:
    """All methods on all swaps, in Markdown."""
    lines = []
    for swap in SWAPS:
        for name, method in METHODS.items():
            own = [row for row in rows if (row.get("swap"), row.get("method")) == (swap, name)]
            images = [one for row in own for one in row["rows"]]
            if images:
                lines.append([swap, name, *_figures(images), f"{method.evaluations:g}"])
                lines[-1] += [str(len(images)), method.settings]
    return markdown.table(COLUMNS, lines)


def _beside(images: Sequence[Mapping[str, float]]) -> list[str]:
    if not images:
        return ["", ""]
    drift = median(one["drift"] for one in images)
    return [markdown.share([one["rest"] for one in images]), f"{drift:.3f}"]


def _figures(images: Sequence[Mapping[str, float]]) -> list[str]:
    decibels = [one["psnr"] for one in images]
    error = stdev(decibels) / len(decibels) ** 0.5 if len(decibels) > 1 else 0.0
    return [
        markdown.share([one["shown"] for one in images]),
        markdown.share([one["kept"] for one in images]),
        f"{median(one['moved'] for one in images):.3f}",
        *_beside([one for one in images if "rest" in one]),
        f"{fmean(decibels):.1f} ± {error:.1f}",
    ]
