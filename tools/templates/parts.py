"""What every template has: loaders in the first column, a prompt, a sampler, the result."""

from __future__ import annotations

from dataclasses import dataclass

from tools.templates.families import Family
from tools.templates.graph import Graph, Link, Node

SEED = 7
TRACE = {"width": 640, "height": 640}


@dataclass
class Parts:
    """Outputs that the parts of a template connect to.

    Arguments:
        graph: the template.
        family: its family.
        name: of its file.
        model, clip, vae: what the loaders give.
        decoder: VAE that guidance decodes with; None is the tiny one of models/vae_approx.
        rules: further rules, at most two.
    """

    graph: Graph
    family: Family
    name: str
    model: Link
    clip: Link
    vae: Link
    decoder: Link | None = None
    rules: tuple[Link, ...] = ()


def loaded(graph: Graph, family: Family, name: str) -> Parts:
    """Add the family's loaders."""
    if family.vae is None:
        all_in_one = graph.add(
            "CheckpointLoaderSimple", 0, files=[family.model], ckpt_name=family.model.name
        )
        parts = Parts(graph, family, name, all_in_one[0], all_in_one[1], all_in_one[2])
    else:
        model = graph.add(
            *("UNETLoader", 0),
            files=[family.model],
            unet_name=family.model.name,
            weight_dtype="default",
        )
        vae = graph.add("VAELoader", 0, files=[family.vae], vae_name=family.vae.name)
        parts = Parts(graph, family, name, model[0], _encoder(graph, family)[0], vae[0])
    if family.shift:
        kind, value = family.shift
        parts.model = graph.add(kind, 0, model=parts.model, shift=value)[0]
    return parts


def _encoder(graph: Graph, family: Family) -> Node:
    names = [file.name for file in family.encoders]
    keys = ("clip_name",) if len(names) == 1 else ("clip_name1", "clip_name2")
    kind = "CLIPLoader" if len(names) == 1 else "DualCLIPLoader"
    pickers = dict(zip(keys, names, strict=True))
    return graph.add(
        kind, 0, files=family.encoders, **pickers, type=family.encoder_type, device="default"
    )


def with_tiny_decoder(parts: Parts) -> None:
    """Let guidance decode with the family's tiny decoder."""
    tiny = parts.family.tiny
    if parts.family.loads_tiny:
        loader = parts.graph.add(
            "VAELoader", 0, "Load VAE (tiny, for guidance)", [tiny], vae_name=tiny.name
        )
        parts.decoder = loader[0]


def guided(parts: Parts, column: int, rule: Link, *, reads_image: bool) -> Link:
    """Add Apply Guidance and return its model; its trace is output 1 of the same node."""
    files, decoder, vae = (), "auto", {}
    if reads_image and parts.decoder:
        vae = {"vae": parts.decoder}
    elif reads_image:
        files, decoder = (parts.family.tiny,), "taesd"
    node = parts.graph.add(
        *("EGApplyGuidance", column, "", files),
        **{"model": parts.model, "rule_1": rule, "decoder": decoder, **vae},
        **{f"rule_{slot}": further for slot, further in enumerate(parts.rules, 2)},
    )
    return node[0]


def prompted(parts: Parts, column: int, text: str | Link) -> tuple[Link, Link]:
    """Add the prompts, typed or linked; without CFG the negative one is the positive, emptied."""
    encode = lambda title, text: parts.graph.add(
        "CLIPTextEncode", column, title, clip=parts.clip, text=text
    )
    positive = encode("Prompt", text)[0]
    if parts.family.negative is None:
        zeroed = parts.graph.add(
            *("ConditioningZeroOut", column, "No negative (CFG is 1)"), conditioning=positive
        )
        return positive, zeroed[0]
    return positive, encode("Negative", parts.family.negative)[0]


def empty_latent(parts: Parts, column: int) -> Link:
    """Add the family's empty latent."""
    family = parts.family
    width, height = family.size
    sizes = {"width": width, "height": height, "batch_size": 1}
    if family.is_video:
        sizes = {**sizes, "vae": parts.vae, "length": family.length}
    return parts.graph.add(family.latent, column, **sizes)[0]


def sampled(parts: Parts, column: int, model: Link, conds: tuple[Link, Link], latent: Link) -> Link:
    """Add the family's sampler and return its latent."""
    if parts.family.scheduler == "Flux2Scheduler":
        return _sampled_by_flux2(parts, column, model, conds, latent)
    return ksampled(parts, column, model, conds, latent)


def ksampled(
    parts: Parts,
    column: int,
    model: Link,
    conds: tuple[Link, Link],
    latent: Link,
    **changes: float,
) -> Link:
    """Add a KSampler with the family's settings, or changed ones, and return its latent."""
    family = parts.family
    settings = {
        "seed": SEED,
        "steps": family.steps,
        "cfg": family.cfg,
        "sampler_name": family.sampler,
        "scheduler": family.scheduler,
        "denoise": 1.0,
        **changes,
    }
    links = {"positive": conds[0], "negative": conds[1], "latent_image": latent}
    return parts.graph.add("KSampler", column, model=model, **links, **settings)[0]


def _sampled_by_flux2(
    parts: Parts, column: int, model: Link, conds: tuple[Link, Link], latent: Link
) -> Link:
    family, add = parts.family, parts.graph.add
    width, height = family.size
    guider = add(
        *("CFGGuider", column),
        model=model,
        positive=conds[0],
        negative=conds[1],
        cfg=family.cfg,
    )
    noise = add("RandomNoise", column, noise_seed=SEED)
    sampler = add("KSamplerSelect", column, sampler_name=family.sampler)
    sigmas = add("Flux2Scheduler", column, steps=family.steps, width=width, height=height)
    parts_of_it = {"noise": noise[0], "guider": guider[0], "sampler": sampler[0]}
    node = add(
        *("SamplerCustomAdvanced", column + 1),
        **{**parts_of_it, "sigmas": sigmas[0], "latent_image": latent},
    )
    return node[0]


def saved(parts: Parts, column: int, latent: Link, model: Link, *, plot: bool = True) -> None:
    """Add what decodes and saves the result, and a plot of the guidance."""
    images = parts.graph.add("VAEDecode", column, samples=latent, vae=parts.vae)[0]
    prefix = f"energy-guidance/{parts.name}"
    if parts.family.is_video:
        parts.graph.add(
            *("SaveAnimatedWEBP", column),
            images=images,
            filename_prefix=prefix,
            fps=24.0,
            lossless=False,
            quality=90,
            method="default",
        )
    else:
        parts.graph.add("SaveImage", column, images=images, filename_prefix=prefix)
    if plot:
        trace = Link(model.node, 1)
        parts.graph.add("EGPlotTrace", column, trace=trace, after=latent, **TRACE)
