"""What each guide is asked, with which settings, and how its images are judged."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bench.guides.appearance import (
    COEFFICIENTS,
    DIFFUSED,
    DIFFUSING,
    LIMIT,
    SAMPLER_STEPS,
    SAYING_TOO,
    SAYING_TOO_STEPS,
    TRANSLATING,
    coloured,
    diffuseit,
    diffuseit_drawn,
    halved,
    style,
    translated,
)
from bench.guides.identity import ENOUGH as LIKE
from bench.guides.identity import LIKENESS, identity, recognised
from bench.guides.labels import CLEAN, NOISY, SURE, by_clean, by_noisy, labelled, mostly
from bench.guides.placement import DETECTING, LOOKING, PLACING, detected, held, segmented
from bench.guides.restoration import (
    FITTING,
    FITTING_LR,
    FITTING_STEPS,
    POLYAK_STEPS,
    centre,
    gained,
    restoring,
    rules_fitting,
)
from bench.guides.sentences import ENOUGH, REFINING, SAYING, TRYING, said
from bench.guides.task import STRENGTH, Ask, Task
from guidance_core.energies.color_histogram import ColorHistogram
from guidance_core.image.degradations import Compose, GaussianBlur, Shrink
from guidance_core.schedules import PercentWindow
from tools.diffusers_host import Settings

STYLING = 0.7  # strength of Rule: Forward, relative, of a style
GUIDED = Settings(steps=SAMPLER_STEPS, eta=1.0)
PLACED = replace(GUIDED, recurrences=4, end_percent=0.4)
BOXED = replace(GUIDED, recurrences=3, end_percent=0.4)
SAID = Settings(steps=100, eta=1.0, decoder="fitted")
TRANSLATED = Settings(steps=DIFFUSED[0], denoise=DIFFUSED[1], decoder="fitted")
# From 70 % of the noise; the first step, which begins there, is taken ten times.
TRANSLATED_DRAWN = replace(TRANSLATED, denoise=0.7, recurrences=10, end_percent=0.31)
IMAGE_TO_IMAGE = Settings(steps=6, denoise=0.3)


def _falling(window: PercentWindow, rule: str = "Forward") -> str:
    return f"{rule} relative, falling from {window.value:g} to 0 at {window.end_percent:g}"


RESTORED = "PSNR 3 dB higher (mean), consistency with the measurement 40 dB (median)"
POLYAK = f"Measurement, Backward relative 1, {POLYAK_STEPS} polyak steps, to the end"
TO_THE_END = f"Forward relative {STRENGTH:g}, to the end"
SUM = "a sum of {:g}, {:g} and {:g}".format(*COEFFICIENTS)
DIFFUSES = (
    f"Structure diffuseit, Text Direction and Range {LIMIT:g} in {SUM}, {_falling(DIFFUSING)}; "
    f"Text Direction, {_falling(SAYING_TOO, 'Backward')}, {SAYING_TOO_STEPS} polyak steps"
)
BOXES = "75 % hold an object of the shape with IoU 0.5"
PLACE = _falling(PLACING)
A_LABEL, MOST = "one of nine colours and shapes, with an empty prompt, ", "75 % show it"


def _restoration(name: str, asks: str, ask: Ask, recipe: str = POLYAK) -> Task:
    return Task(name, asks, recipe, RESTORED, gained, ask, IMAGE_TO_IMAGE)


def _diffuseit(name: str, begins: str, ask: Ask, settings: Settings) -> Task:
    return Task(
        name,
        f"one scene in another colour, by sentences (DiffuseIT), {begins}",
        DIFFUSES,
        "contour IoU 0.75 (median), palette distance halved (mean)",
        lambda before, after: halved(before, after) and bool(after["contour IoU"].median() >= 0.75),
        ask,
        settings,
        ("vit", "open_clip", "fast_decoder"),
    )


def _sentence(
    name: str,
    strength: float,
    settings: Settings,
    how: str = "",
    least: float = 0.8,
    refined: bool = False,
) -> Task:
    by = f"Forward relative {strength:g}"
    if refined:
        by = f"Forward and Backward ({REFINING} gd steps), both relative {strength:g}"
    return Task(
        name,
        "one of three sentences, with an empty prompt" + how,
        f"CLIP Text until the cosine is {ENOUGH:g}{'; ' if refined else ', '}{by}, to the end",
        f"{100 * least:.0f} % show what is asked and are clean",
        lambda before, after: bool(after["as asked"].mean() >= least),
        partial(said, strength, refined),
        settings,
        ("open_clip", "fast_decoder"),
    )


TASKS = (
    _restoration("sr4", "super-resolution x4", restoring(Shrink(4))),
    _restoration(
        "deblur",
        "a Gaussian blur of 3 pixels",
        restoring(GaussianBlur(3.0)),
    ),
    _restoration(
        "inpaint",
        "the middle quarter is missing",
        restoring(Compose(), centre(), rules_fitting),
        f"Measurement, Backward relative 1, {POLYAK_STEPS} polyak steps, until {FITTING:g}; "
        f"then absolute, {FITTING_STEPS} adam steps of {FITTING_LR:g}; for the PSNR what was seen "
        "is put back",
    ),
    Task(
        "segmentation",
        "one object of the prompt, by a map",
        "Segmentation by a class map, " + PLACE,
        "IoU with the area 0.7 (median)",
        lambda before, after: bool(after["IoU"].median() >= 0.7),
        segmented,
        PLACED,
        ("segmenter",),
    ),
    Task(
        "detector",
        "one object of the prompt, by a box and the detector alone",
        "Detection, " + PLACE,
        BOXES,
        held,
        detected(attention=False),
        PLACED,
        ("detector",),
    ),
    Task(
        "detection",
        "one object of the prompt, by a box, the detector and attention",
        f"Box of the colour's attention, {_falling(LOOKING)}; Detection, {_falling(DETECTING)}",
        BOXES,
        held,
        detected(attention=True),
        BOXED,
        ("detector",),
    ),
    Task(
        "style",
        "the style of a scene",
        f"Style of CLIP blocks 1 to 3, Forward relative {STYLING:g}, to the end",
        "palette distance halved (mean)",
        halved,
        coloured(style, STYLING),
        GUIDED,
        ("open_clip",),
    ),
    Task(
        "colour",
        "the palette of a scene",
        "Palette with a reference, " + TO_THE_END,
        "palette distance halved (mean)",
        halved,
        coloured(lambda model, reference: ColorHistogram(reference)),
        GUIDED,
    ),
    Task(
        "translation",
        "structure of one scene, palette of another",
        "Invert with an empty prompt, Segmentation of the source and Palette, Forward "
        f"relative {TRANSLATING[0]:g} and {TRANSLATING[1]:g}, to the end",
        "contour IoU 0.75 (median), palette distance halved (mean)",
        lambda before, after: halved(before, after) and bool(after["contour IoU"].median() >= 0.75),
        translated,
        Settings(steps=20),
        ("segmenter",),
    ),
    _diffuseit("diffuseit", "from its own noise (Invert)", diffuseit, TRANSLATED),
    _diffuseit("diffuseit, drawn", "from drawn noise", diffuseit_drawn, TRANSLATED_DRAWN),
    _sentence("sentence", SAYING, SAID, least=0.6),
    _sentence(
        "sentence, restarted", TRYING, replace(SAID, tries=3), ", tried again where it fails"
    ),
    # The same, at the cost of three tries, by more steps and by whole runs.
    _sentence("sentence, in 230 steps", SAYING, replace(SAID, steps=230), ", in more steps"),
    _sentence(
        "sentence, the better of two runs",
        TRYING,
        replace(SAID, tries=2, tried=(0.0, 1.0)),
        ", run again where it fails",
    ),
    _sentence("sentence, refined", SAYING, SAID, ", by both rules", refined=True),
    Task(
        "label",
        A_LABEL + "by a classifier of clean images",
        f"Classifier until {SURE:g}, Forward relative {CLEAN:g}, to the end",
        MOST,
        mostly,
        labelled(by_clean),
        replace(GUIDED, decoder="fitted"),
        ("classifier", "fast_decoder"),
    ),
    Task(
        "noisy label",
        A_LABEL + "by one of noisy latents",
        f"Noisy Label, Forward absolute {NOISY:g}, to the end",
        MOST,
        mostly,
        labelled(by_noisy),
        GUIDED,
        ("noisy_classifier",),
    ),
    Task(
        "identity",
        "whom a reference shows, the prompt naming the shape alone, by the stand-in for faces",
        f"Face Identity, Forward relative {LIKENESS:g}, stop {LIKE:g}, to the end",
        "60 % show whom the reference shows",
        recognised,
        identity,
        Settings(steps=SAMPLER_STEPS),
        ("face_encoder",),
    ),
)
