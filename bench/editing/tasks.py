"""What is asked of editing, with settings that the nodes take as they are."""

from __future__ import annotations

from functools import partial

from bench.editing.appearance import appearance, complete
from bench.editing.better_noise import (
    AHEAD,
    BY_SENTENCE,
    ROUNDS,
    STEPS,
    THRESHOLD,
    begun,
)
from bench.editing.composed import composed
from bench.editing.moving import FRAMES, along_a_path
from bench.editing.outlines import STEPS as FEW
from bench.editing.outlines import new_look, outline
from bench.editing.placement import boxes, position, resized, two_objects
from bench.editing.real_images import (
    EDIT_CFG,
    KEEPING,
    MORE_STEPS,
    WHITE,
    circle_to_square,
    round_trip,
    whitened,
    zero_shot,
)
from bench.editing.real_images import STEPS as ZERO_STEPS
from bench.editing.refined import refined
from bench.editing.reproduced import CFG as HIGH_CFG
from bench.editing.reproduced import STEPS as STEPS_AGAIN
from bench.editing.reproduced import reproduced
from bench.editing.task import Figure, Task
from bench.records import fingerprint
from guidance_core.procedures.null_text import ITERATIONS
from tools.diffusers_host import THREE_OBJECTS

FORWARD = "Forward, relative, falling from strength"
LORA = f"LoRA three_objects ({fingerprint(THREE_OBJECTS.name)}); "
TEST = "p of McNemar's test"
WITHOUT_ARTICLES = "; prompts without articles"
FILLING = f"{FORWARD} 2.5 to 0 at 0.6, 3 recurrences until 0.4"
WHOLE_PAIRS = (
    Figure("misses or mixes up something", "whole", "missing", 0.6, relative=True),
    Figure(TEST, "whole", "p", 0.01),
    Figure("mean draw that was taken", "draw", "mean"),
)
WHOLE_TRIPLES = (
    Figure("complete, rightly coloured", "complete", "share", 1.3, relative=True),
    Figure(TEST, "complete", "p", 0.01),
    Figure("... and nothing else", "whole", "share"),
    Figure("mean draw that was taken", "draw", "mean"),
)


def three_objects(*, tested: bool) -> tuple[Figure, ...]:
    """What is asked of three objects; a test tells nothing where hardly any image is complete."""
    test = lambda key: (Figure(TEST, key, "p", 0.01),) if tested else ()
    return (
        Figure("complete, rightly coloured", "complete", "share", 1.3, relative=True),
        *test("complete"),
        Figure("... and nothing else", "only", "share", 1.3, relative=True),
        *test("only"),
        Figure("objects that are there, rightly coloured", "objects", "share"),
    )


TASKS = (
    *(
        Task(
            name,
            f"Position of the colour{how}; {FORWARD} 4 to 0 at 0.9, stop 0.02",
            (
                Figure("median centroid error", "error", "median", 0.07),
                Figure("shows its caption", "kept", "share"),
            ),
            partial(position, measure),
        )
        for name, how, measure in (
            ("move one object", "", "adapted"),
            ("move one object, as published", ", measure published", "published"),
        )
    ),
    Task(
        "move one of two objects",
        f"twice Position of the colour, Shape of the other by reference; {FORWARD} 4 to 0 at 0.9",
        (
            Figure("median centroid error", "error", "median"),
            Figure("median drift of the other", "drift", "median", 0.05),
            Figure("size and colour of the other kept", "other", "share", 0.8),
        ),
        two_objects,
    ),
    *(
        Task(
            f"resize to {ratio} of the area",
            f"Size ratio {ratio} and half of Position of the colour, by the reference; Forward, "
            "relative, strength 1 from 0.2 to 0.9",
            (
                Figure("median error of the area", "error", "median", 0.2),
                Figure("median drift", "drift", "median"),
            ),
            resized(ratio),
        )
        for ratio in (0.6, 1.5)
    ),
    *(
        Task(
            name,
            f"two of Box of the colour, {how}; {FORWARD} 2.5 to 0 at 0.6, 3 recurrences until 0.4",
            (
                Figure("objects with 80 % of their area inside", "inside", "share", 0.8),
                Figure("shows its caption", "kept", "share"),
            ),
            partial(boxes, settings),
        )
        for name, how, settings in (
            ("boxes for two objects", "layout", {}),
            ("boxes for two objects, each head", "layout, heads each", {"heads": "each"}),
            ("boxes for two objects, BoxDiff", "boxdiff", {"loss": "boxdiff"}),
        )
    ),
    Task(
        "fill a drawn outline",
        f"Shape of the colour, an outline, with layout; {FILLING}",
        (
            Figure("median overlap (IoU) with the outline", "overlap", "median up", 0.75),
            Figure("mean overlap", "overlap", "mean"),
            Figure("overlap of 0.75 or more", "filled", "share"),
            Figure("shows its caption", "kept", "share"),
        ),
        outline,
        steps=FEW,
    ),
    Task(
        "new look, same place and size",
        "another colour and seed; Shape of the colour by the reference, source_tokens, last step, "
        f"with layout; {FILLING}",
        (
            Figure("median overlap (IoU) with the old object", "overlap", "median up", 0.75),
            Figure("mean overlap", "overlap", "mean"),
            Figure("median drift", "drift", "median"),
            Figure("shows the new caption", "shown", "share"),
        ),
        new_look,
        steps=FEW,
    ),
    *(
        Task(
            f"objects of two images in one{suffix}",
            "two of Shape of the colour, each by a reference of its own prompt and seed, "
            f"source_tokens, last step, with layout; {FILLING}{how}; pairs that would touch do not "
            "count",
            (
                Figure(
                    *("both there and within 0.1 of their place, nothing else", "complete"),
                    *("share", 0.75),
                ),
                Figure("mean overlap (IoU) with the old objects", "overlap", "mean"),
            ),
            partial(composed, tries),
            steps=FEW,
        )
        for suffix, how, tries in (
            ("", "", 1),
            (", the best of 8 tries", "; the best of 8 tries, from 0.1 to 0.6", 8),
        )
    ),
    Task(
        "along a path, in a batch that stands for time",
        f"{FRAMES} frames; Position of the colour by two keyframes; {FORWARD} 4 to 0 at 0.9; "
        "Temporal, latent; Forward, relative, strength 0.5; both of the batch as a video; "
        "3 recurrences until 0.4",
        (
            Figure("median centroid error", "error", "median", 0.08),
            Figure(
                "median flicker of the mean colour, in grey levels",
                "flicker",
                "median",
                0.5,
                relative=True,
            ),
        ),
        along_a_path,
        steps=FEW,
    ),
    Task(
        "swap appearance",
        "Appearance of the noun (layer output.1.0, features of output.2 and output.3) in another "
        "picture of another prompt; Forward, relative, falling from strength 2 at 0.2 to 0 at 1",
        (
            Figure("colour is the reference's", "colour", "share", 0.8),
            Figure("shape kept", "shape", "share", 0.8),
            Figure("median drift", "drift", "median"),
        ),
        appearance,
    ),
    *(
        Task(
            name,
            f"{model}Presence of the nouns (layer middle.0.0), Presence of the colours "
            "(output.2.0), three tenths of three of Binding (both); Latent Update, relative, "
            "falling from strength 1 to 0 at 0.4; prompts without articles",
            three_objects(tested=bool(model)),
            complete(lora=bool(model)),
        )
        for name, model in (("three objects", LORA), ("three objects, without the LoRA", ""))
    ),
    Task(
        "two objects, refined to thresholds",
        "Presence of the colours, half of Presence of the nouns (layer middle.0.0); Latent "
        "Update, relative, strength 0.5 from 0.15 to 0.55, stop 0.2, thresholds 0.2:0.3, 0.3:0.2, "
        "0.4:0.2, 5 rounds",
        WHOLE_PAIRS[:2],
        refined,
        steps=STEPS,
    ),
    *(
        Task(
            f"{name}, from better noise by a sentence",
            f"{model}Optimise Initial Noise by CLIP Text of the caption (spherical, no cutouts), "
            f"iterations 0, {ROUNDS} rounds, threshold {BY_SENTENCE[count][1]:g}, ahead "
            f"{BY_SENTENCE[count][0]}; no guidance{how}",
            figures,
            begun(count, by_sentence=True),
            steps=STEPS,
        )
        for name, count, model, how, figures in (
            ("two objects", 2, "", "", WHOLE_PAIRS),
            ("three objects", 3, LORA, WITHOUT_ARTICLES, WHOLE_TRIPLES),
        )
    ),
    *(
        Task(
            name,
            f"{model}Optimise Initial Noise by Presence of the colours, iterations 0, {ROUNDS} "
            f"rounds, threshold {THRESHOLD:g}, ahead {AHEAD}; no guidance{how}",
            figures,
            begun(count),
            steps=STEPS,
        )
        for name, count, model, how, figures in (
            ("two objects, from better noise", 2, "", "", WHOLE_PAIRS),
            ("three objects, from better noise", 3, LORA, WITHOUT_ARTICLES, WHOLE_TRIPLES),
        )
    ),
    Task(
        "invert and paint again",
        "Invert, 2 iterations, 50 steps",
        (Figure("mean PSNR in dB", "psnr", "mean", 35.0),),
        round_trip,
        steps=50,
    ),
    Task(
        "paint again above CFG 1, by null text",
        f"Invert, 2 iterations, 10 steps; Null Text, {ITERATIONS} iterations; CFG {HIGH_CFG:g}",
        (
            Figure("mean PSNR in dB", "psnr", "mean"),
            Figure("the same at CFG 1, without null text", "plain", "mean"),
            Figure("as near as at CFG 1, or nearer", "near", "share", 0.5),
        ),
        reproduced,
        steps=STEPS_AGAIN,
    ),
    Task(
        "circle to square in drawn pictures",
        "Invert, Edit Direction of twelve sentences, Keep Attention; Forward, relative, "
        "strength 0.1 up to 0.3; CFG 1",
        (
            Figure("is a square", "square", "share", 0.75),
            Figure("colour kept", "colour", "share"),
            Figure("median drift", "drift", "median"),
        ),
        circle_to_square,
        steps=30,
    ),
    Task(
        "noise of drawn pictures",
        f"Invert, 1 iteration, white_noise 0 and {WHITE.weight:g}",
        (
            Figure("self-correlation, times white noise's", "correlation", "low", 0.5, True),
            Figure("divergence of mean and variance", "divergence", "low", 0.5, True),
        ),
        whitened,
        steps=ZERO_STEPS,
    ),
    *(
        Task(
            f"circle to square, Pix2Pix-Zero{suffix}",
            f"Invert, 1 iteration, white_noise {WHITE.weight:g}; Edit Direction by word; Keep "
            f"Attention{how}, Forward, relative, strength {KEEPING.value:g} up to "
            f"{KEEPING.end_percent:g}; CFG {EDIT_CFG:g}",
            (
                Figure("mean drift", "drift", "low", 0.5, relative=True),
                Figure("median drift", "drift", "median", 0.5, relative=True),
                Figure("is a square", "square", "share"),
                Figure("colour kept", "colour", "share"),
            ),
            partial(zero_shot, heads, steps),
            steps=steps,
        )
        for suffix, how, heads, steps in (
            ("", "", "mean", ZERO_STEPS),
            (", each head", ", heads each", "each", ZERO_STEPS),
            (", in 20 steps", "", "mean", MORE_STEPS),
        )
    ),
)
