"""Draw the images of the help pages in web/docs/ on a ComfyUI: without guidance and with it.

    python -m tools.help_pictures http://127.0.0.1:8188 [EGEnergyColor ...]

The ComfyUI must have this pack. Pages of nodes that an example uses show that example's thumbnail
(`tools.thumbnails` puts it there); the others show two images of the same seeds without guidance
(left) and with it (right), or the diagram that the node draws.
"""

from __future__ import annotations

import sys
from typing import Any

from PIL import Image

from .thumbnails import PAGES, QUALITY, Prompt, saved_images, stored

SIDE, GAP, WIDEST = 192, 6, 640


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """One node of a prompt in API form."""
    return {"class_type": kind, "inputs": inputs}


def sampled(prefix: str, model: str, text: str, seed: int, batch: int) -> Prompt:
    """A prompt, its sampler and its images; names begin with the prefix."""
    name = lambda part: [prefix + part, 0]
    widgets = {"seed": seed, "steps": 20, "cfg": 4.0 if text else 1.0, "denoise": 1.0}
    return {
        prefix + "text": node("CLIPTextEncode", clip=["shapes", 1], text=text),
        prefix + "empty": node("EmptyLatentImage", width=128, height=128, batch_size=batch),
        prefix + "latent": node(
            "KSampler",
            model=[model, 0],
            positive=name("text"),
            negative=["negative", 0],
            latent_image=name("empty"),
            sampler_name="euler",
            scheduler="normal",
            **widgets,
        ),
        prefix + "image": node("VAEDecode", samples=name("latent"), vae=["shapes", 2]),
    }


def comparison(parts: Prompt, text: str, seed: int = 7) -> Prompt:
    """Two images without guidance and with the rule of these parts."""
    shared = {
        "shapes": node("EGLoadShapes"),
        "negative": node("CLIPTextEncode", clip=["shapes", 1], text=""),
        "guided": node(
            "EGApplyGuidance",
            model=["shapes", 0],
            rule_1=["rule", 0],
            decoder="auto",
            vae=["shapes", 2],
        ),
    }
    before = sampled("before ", "shapes", text, seed, 2)
    after = sampled("after ", "guided", text, seed, 2)
    both = node("ImageBatch", image1=["before image", 0], image2=["after image", 0])
    save = node("SaveImage", images=["both", 0], filename_prefix="help")
    return {**shared, **before, **after, **parts, "both": both, "save": save}


def energy(kind: str, **inputs: Any) -> dict[str, Any]:
    """The energy that a rule follows."""
    return node(f"EGEnergy{kind}", weight=1.0, **inputs)


def rule(kind: str, strength: float, **inputs: Any) -> dict[str, Any]:
    """The rule that a model is given."""
    widgets = {"strength": strength, "scale": "relative", "stop": 0.0}
    return node(f"EGRule{kind}", energy=["energy", 0], **widgets, **inputs)


def drawn() -> dict[str, Prompt]:
    """A comparison for each page that no example illustrates and whose effect can be seen."""
    blue = {"energy": energy("Color", red=0.2, green=0.4, blue=0.9, share=0.2)}
    plain = {"plain": blue["energy"]}
    backward = rule("Backward", 1.0, steps=1, optimiser="gd", learning_rate=0.01)
    other = sampled("other ", "shapes", "a big yellow triangle", 3, 1)
    like = energy("Image", distance="l2", reference=["other image", 0])
    red = "a big red circle"
    outline = {
        "white": node("SolidMask", value=1.0, width=40, height=96),
        "black": node("SolidMask", value=0.0, width=128, height=128),
        "mask": node(
            "MaskComposite",
            destination=["black", 0],
            source=["white", 0],
            x=20,
            y=16,
            operation="add",
        ),
        "words": node("EGTokens", clip=["shapes", 1], prompt=red, words=red),
        "energy": energy(
            "Shape",
            tokens=["words", 0],
            outline=["mask", 0],
            shift_x=0.0,
            shift_y=0.0,
            scale=1.0,
            layers="default",
        ),
    }
    when = node("EGSchedule", start_percent=0.0, end_percent=0.4, curve="constant", points="")
    timed = node("EGScheduleEnergy", energy=["plain", 0], schedule=["when", 0])
    smooth = node("EGSmoothEnergy", energy=["plain", 0], gamma=0.5, samples=2, seed=0)
    unified = rule(
        "Unified",
        1.0,
        preset="custom",
        rho=0.0,
        mu=1.0,
        iterations=4,
        gamma=0.0,
        samples=0,
        course="constant",
        residual_norm=False,
    )
    posterior = rule("Posterior", 1.0, residual_norm=False)
    parts = {
        "EGEnergyColor": {**blue, "rule": backward},
        "EGEnergyImage": {**other, "energy": like, "rule": backward},
        "EGRuleManifold": {**blue, "rule": rule("Manifold", 1.0, projected=False)},
        "EGRulePosterior": {**blue, "rule": posterior},
        "EGRuleUnified": {**blue, "rule": unified},
        "EGScheduleEnergy": {**plain, "when": when, "energy": timed, "rule": backward},
        "EGSmoothEnergy": {**plain, "energy": smooth, "rule": backward},
    }
    shape = comparison({**outline, "rule": rule("Forward", 1.5)}, red)
    return {**{name: comparison(part, "") for name, part in parts.items()}, "EGEnergyShape": shape}


def plotted() -> dict[str, Prompt]:
    """A run for each page of a node that draws a diagram itself."""
    traced = drawn()["EGEnergyColor"]
    plot = node(
        "EGPlotTrace", trace=["guided", 1], after=["after latent", 0], width=640, height=640
    )
    save = node("SaveImage", images=["plot", 0], filename_prefix="help")
    return {
        "EGPlotTrace": {**traced, "plot": plot, "save": save},
        "EGShowAttention": showing("move-object", "EGShowAttention"),
    }


def showing(example: str, kind: str) -> Prompt:
    """An example of one image and few steps that saves what one of its nodes draws."""
    prompt = {
        k: part for k, part in stored(example).items() if part["class_type"] != "PreviewImage"
    }
    (drawing,) = [key for key, part in prompt.items() if part["class_type"] == kind]
    (saver,) = [part for part in prompt.values() if part["class_type"] == "SaveImage"]
    saver["inputs"]["images"] = [drawing, 0]
    quick = {"steps": 12, "batch_size": 1}
    for part in prompt.values():
        part["inputs"] |= {name: quick[name] for name in part["inputs"] if name in quick}
    return prompt


def side_by_side(images: list[Image.Image]) -> Image.Image:
    """Images in a row, those without guidance apart from those with it."""
    half = len(images) // 2
    page = Image.new("RGB", (len(images) * SIDE + GAP, SIDE), "white")
    for k, image in enumerate(images):
        place = (k * SIDE + (GAP if k >= half else 0), 0)
        page.paste(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS), place)
    return page


def shrunk(image: Image.Image) -> Image.Image:
    """At most so wide as a help page shows it."""
    image.thumbnail((WIDEST, WIDEST), Image.Resampling.LANCZOS)
    return image


def main(address: str, *names: str) -> None:
    """Draw the images of all pages that have one of their own, or of those that are named."""
    diagrams = plotted()
    prompts = {**drawn(), **diagrams}
    for name in names or prompts:
        images = saved_images(address, prompts[name])
        page = shrunk(images[0]) if name in diagrams else side_by_side(images)
        page.save(PAGES / f"{name}.jpg", quality=QUALITY)
        print(name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
