"""What a template does: its energies, its rule, its prompt, and what its note says of them.

Start values are those that docs/models.md derives; none has been tried on real weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tools.templates import parts
from tools.templates.families import FAMILIES, SDXL, WAN22, Family
from tools.templates.graph import Link, huggingface
from tools.templates.parts import Parts

CLIP = huggingface(
    "guidance", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip_model.safetensors"
)
FACES = huggingface("guidance", "gaunernst/vit_tiny_patch8_112.arcface_ms1mv3", "model.safetensors")
PICTURE = "example.png"  # ComfyUI brings it in its folder input
STREET = "a quiet street in an old town, evening"
STILL_LIFE = "a red apple and a blue cup on a wooden table"
BALL = "a red ball rolls across a wooden floor, the camera stands still"
STEADY = 0.3  # strength against flicker
PORTRAIT = "portrait photo of a person, looking at the camera, plain background"
SMALL, SHRINK = 256, 4


class Push(NamedTuple):
    """Strength of a rule, and the fraction of the noise schedule at which it ends."""

    strength: float
    end: float


@dataclass(frozen=True)
class Task:
    """What a template does.

    Arguments:
        key: end of its name.
        title: what it does, in a few words; part of the name of its file.
        build: adds its nodes.
        about: what its note says: what it does, what to change.
        start: what it says of the start values, with places for those of the push.
        usual: the push in 20 steps or more.
        few: the push of models that take at most 8.
        families: those that have it.
    """

    key: str
    title: str
    build: Callable[[Parts, Push], None]
    about: str
    start: str
    usual: Push
    few: Push
    families: tuple[Family, ...] = FAMILIES

    def push(self, family: Family) -> Push:
        """Where to begin with a family."""
        return self.few if family.takes_few_steps else self.usual

    def start_of(self, family: Family) -> str:
        """What the note says of the start values."""
        push = self.push(family)
        end = f"{push.end:.0%}".replace("%", " %")
        rule = "Manifold" if family.is_video else "Forward"
        return self.start.format(rule=f"Rule: {rule}", strength=push.strength, end=end)


def _by_image(part: Parts, text: str, energy: Link, push: Push) -> None:
    """What templates that guide by the image, from noise, share behind their energy."""
    _sampled(part, text, energy, (push, "constant"), reads_image=True)


def _sampled(
    part: Parts, text: str | Link, energy: Link, push: tuple[Push, str], *, reads_image: bool
) -> None:
    """A rule with its schedule, the prompt, the sampler and the result."""
    add, ((strength, end), curve) = part.graph.add, push
    schedule = add("EGSchedule", 3, start_percent=0.0, end_percent=end, curve=curve, points="")
    # Of a video no graph through the model fits into memory where one through a frame does.
    kind = "EGRuleManifold" if reads_image and part.family.is_video else "EGRuleForward"
    rule = add(kind, 3, energy=energy, strength=strength, schedule=schedule[0])
    model = parts.guided(part, 3, rule[0], reads_image=reads_image)
    conds, latent = parts.prompted(part, 1, text), parts.empty_latent(part, 1)
    latent = parts.sampled(part, 4, model, conds, latent)
    # Editors of words stand large; the monitor draws the course too.
    parts.saved(part, 6, latent, model, plot=reads_image)


def _network(part: Parts) -> Link:
    return part.graph.add(
        "EGLoadOpenCLIP", 0, files=[CLIP], file=CLIP.name, architecture="ViT-B-32"
    )[0]


def _picture(part: Parts, column: int, title: str) -> Link:
    return part.graph.add("LoadImage", column, title, image=PICTURE)[0]


def by_text(part: Parts, push: Push) -> None:
    """Guide by a sentence."""
    parts.with_tiny_decoder(part)
    sentence = "an oil painting of a street in the rain, lamps reflected on wet stones"
    energy = part.graph.add(
        "EGEnergyCLIPText", 2, "Energy: the sentence", network=_network(part), text=sentence
    )
    if part.family.is_video:
        energy = part.graph.add("EGFrames", 2, energy=energy[0])
    _by_image(part, STREET, energy[0], push)


def by_image(part: Parts, push: Push) -> None:
    """Guide by an image's content."""
    parts.with_tiny_decoder(part)
    reference = _picture(part, 1, "The reference (load your own)")
    energy = part.graph.add(
        "EGEnergyCLIPImage", 2, network=_network(part), reference=reference, cutouts=4
    )
    _by_image(part, STREET, energy[0], push)


def by_style(part: Parts, push: Push) -> None:
    """Guide by an image's style."""
    parts.with_tiny_decoder(part)
    reference = _picture(part, 1, "The style (load your own)")
    energy = part.graph.add("EGEnergyStyle", 2, network=_network(part), reference=reference)
    _by_image(part, STREET, energy[0], push)


def by_face(part: Parts, push: Push) -> None:
    """Guide by the face of a reference."""
    parts.with_tiny_decoder(part)
    add, (width, height) = part.graph.add, part.family.size
    encoder = add("EGLoadFaceEncoder", 0, files=[FACES], file=FACES.name, architecture="auto")
    reference = _picture(part, 1, "The face (load your own, cropped)")
    side = width * 7 // 16
    black = add("SolidMask", 1, "No face", value=0.0, width=width, height=height)
    white = add("SolidMask", 1, "A square", value=1.0, width=side, height=side)
    mask = add(
        *("MaskComposite", 2, "Where the face is"),
        destination=black[0],
        source=white[0],
        operation="add",
        x=(width - side) // 2,
        y=height // 6,
    )
    energy = add("EGEnergyFaceIdentity", 2, network=encoder[0], reference=reference, mask=mask[0])
    _by_image(part, PORTRAIT, energy[0], push)


def by_words(part: Parts, push: Push) -> None:
    """Place two phrases of the prompt in boxes."""
    add = part.graph.add
    boxes = {
        "red apple": (0.08, 0.4, 0.45, 0.8),
        "blue cup": (0.55, 0.35, 0.92, 0.8),
    }
    # One text for all: words of another prompt than the sampler's are refused.
    text = add("PrimitiveStringMultiline", 0, "The prompt, for all", value=STILL_LIFE)[0]
    energies = []
    for words, (left, top, right, bottom) in boxes.items():
        tokens = add(
            *("EGTokens", 1, f"Words: {words}"),
            clip=part.clip,
            prompt=text,
            words=words,
        )
        box = add(
            *("EGEnergyBox", 2, f"Box: {words}"),
            tokens=tokens[0],
            left=left,
            top=top,
            right=right,
            bottom=bottom,
        )
        energies.append(box[0])
    both = add("EGCombineEnergies", 3, energy_1=energies[0], energy_2=energies[1])
    _sampled(part, text, both[0], (push, "linear_down"), reads_image=False)


def by_path(part: Parts, push: Push) -> None:
    """Lead a phrase of the prompt along a path, without flicker."""
    add = part.graph.add
    text = add("PrimitiveStringMultiline", 0, "The prompt, for all", value=BALL)[0]
    tokens = add("EGTokens", 1, "Words: red ball", clip=part.clip, prompt=text, words="red ball")
    box = add(
        *("EGEnergyBox", 2, "Along a path"),
        tokens=tokens[0],
        keyframes="0: 0.05 0.45 0.3 0.85; 1: 0.7 0.45 0.95 0.85",
    )
    steady = add("EGEnergyTemporal", 2, "Without flicker")
    second = add("EGRuleForward", 3, "Colours stay", energy=steady[0], strength=STEADY)
    part.rules = (second[0],)
    _sampled(part, text, box[0], (push, "linear_down"), reads_image=False)


def by_measurement(part: Parts, push: Push) -> None:
    """Enlarge a small image fourfold."""
    add, large = part.graph.add, SMALL * SHRINK
    scale = lambda title, image, method, side, crop: add(
        *("ImageScale", 1, title),
        image=image,
        upscale_method=method,
        width=side,
        height=side,
        crop=crop,
    )[0]
    picture = _picture(part, 1, "The small image (load your own)")
    small = scale("Cut to a square", picture, "area", SMALL, "center")
    enlarged = scale("Enlarged", small, "bicubic", large, "disabled")
    energy = add("EGEnergyMeasurement", 2, reference=small, shrink=SHRINK)
    start = add("VAEEncode", 2, "Start from it", pixels=enlarged, vae=part.vae)
    rule = add(
        *("EGRuleBackward", 3),
        energy=energy[0],
        strength=push.strength,
        steps=2,
        optimiser="polyak",
    )
    part.decoder = part.vae
    model = parts.guided(part, 3, rule[0], reads_image=True)
    conds = parts.prompted(part, 4, "a sharp photo")
    changes = {"steps": 20, "denoise": 0.3, "cfg": 4.0}
    latent = parts.ksampled(part, 5, model, conds, start[0], **changes)
    parts.saved(part, 6, latent, model)


TASKS = (
    Task(
        key="guide-by-text",
        title="guide by text",
        build=by_text,
        about="The prompt says what the image shows; the sentence in *Energy: CLIP Text* pulls it "
        "further. Change both. For an image instead of a sentence connect *Energy: CLIP Image* "
        "with a *Load Image* in place of the sentence.",
        start="*{rule}*, scale `relative`, strength {strength:g}, the first {end} of the noise "
        "schedule, 4 cutouts. Nothing happens: raise the strength by halves. It burns or gets "
        "noisy: lower it, or end earlier. Too slow, too little memory: *Rule: Manifold*, whose "
        "gradient does not go through the model.",
        usual=Push(1.0, 0.8),
        few=Push(0.5, 1.0),
    ),
    Task(
        key="guide-by-image",
        title="guide by an image",
        build=by_image,
        about="*Energy: CLIP Image* pulls the image towards the content of the reference, wherever "
        "it is in it. Load your own, and describe what you want in the prompt.",
        start="*Rule: Forward*, scale `relative`, strength {strength:g}, the first {end}, "
        "4 cutouts.",
        families=(SDXL,),
        usual=Push(1.0, 0.8),
        few=Push(0.5, 1.0),
    ),
    Task(
        key="style",
        title="style of an image",
        build=by_style,
        about="*Energy: Style* compares which features of the reference occur together, not where "
        "they are: the prompt says what is shown, the reference how. A CLIP ViT-B-16 sees finer "
        "textures (FreeDoM's choice).",
        start="*Rule: Forward*, scale `relative`, strength {strength:g}, the first {end}, layer 2.",
        families=(SDXL,),
        usual=Push(0.7, 0.7),
        few=Push(0.4, 1.0),
    ),
    Task(
        key="face",
        title="face of a reference",
        build=by_face,
        about="*Energy: Face Identity* compares the square of the mask with the reference, as a "
        "face encoder does. Crop the reference to the face, eyes level; move the square to where "
        "your portrait has its face.",
        start="*Rule: Forward*, scale `relative`, strength {strength:g}, the first {end}.",
        families=(SDXL,),
        usual=Push(0.5, 0.8),
        few=Push(0.3, 1.0),
    ),
    Task(
        key="restore",
        title="enlarge an image",
        build=by_measurement,
        about="The result, shrunk four times, equals the small image; the model makes up what is "
        "finer. Sampling starts from the enlarged image. Describe the image in the prompt. The "
        "same nodes deblur, colour and complete: see the help of *Energy: Measurement*.",
        start="*Rule: Backward* with `polyak`, strength {strength:g}, 2 steps, denoise 0.3, "
        "the full VAE, since the result is measured through it.",
        families=(SDXL,),
        usual=Push(1.0, 1.0),
        few=Push(1.0, 1.0),
    ),
    Task(
        key="place-words",
        title="words in boxes",
        build=by_words,
        about="Each phrase of the prompt gets a box: drag it on its node. One text node holds the "
        "prompt for all. For other objects change it and choose the words by clicking them in "
        "*Prompt Words*.",
        start="*Rule: Forward*, scale `relative`, strength falling from {strength:g} to 0 over the "
        "first {end} of the noise schedule. Objects stay where they were: raise it, or "
        "choose the noun alone. Something is drawn twice: smaller boxes, or a lower strength.",
        usual=Push(2.5, 0.6),
        few=Push(1.5, 1.0),
    ),
    Task(
        key="along-a-path",
        title="an object on a path",
        build=by_path,
        about="The box of the red ball moves along the video. Keyframes of *Energy: Box* are a "
        "time from 0 to 1 and left, top, right, bottom; between two of them it moves in a straight "
        "line. *Energy: Temporal* keeps colour and brightness from frame to frame. *Energy: "
        "Position* leads along points instead.",
        start="*Rule: Forward*, scale `relative`, strength falling from {strength:g} to 0 over the "
        "first {end} of the noise schedule; another of strength "
        f"{STEADY:g} against flicker, to the end.",
        families=(WAN22,),
        usual=Push(2.5, 0.6),
        few=Push(1.5, 1.0),
    ),
)
