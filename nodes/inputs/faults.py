"""What a queued workflow lacks, so that the node turns red before anything is sampled.

Each function looks at the node that is being validated and at what is linked to it, and gives what
to say, or None where nothing is certain to be wrong: nodes of other packs, values that come over a
link, and hosts that do not show the workflow are left to the errors of the run.
"""

from __future__ import annotations

from ...guidance_core.networks.labels import unknown
from ..host import networks
from ..host.browser.queued import Node, network_kind, title_of, validated
from ..host.decode import decoder_files

ENERGY, RULE = "GUIDANCE_ENERGY", "GUIDANCE_RULE"
SHAPES = "EGLoadShapes"
NOISY = "EGEnergyNoisyClassifier"
APPROXIMATE = ("taesd", "rgb", "fitted")
INSIDE = {"GUIDANCE_TOKENS", "GUIDANCE_REFERENCE"}
AT_ESTIMATE = ("works at the clean estimate", "use Rule: Forward or Rule: Latent Update")
CLIP_LOADERS = ("EGLoadOpenCLIP", "EGGuideFromCLIPVision")
FEATURE_LOADERS = (*CLIP_LOADERS, "EGLoadViT", "EGLoadClassifier")


def vae_fault() -> str | None:
    """Why there must be a VAE, where none is connected."""
    node = validated()
    decoder = node.value("decoder", "auto") if node else None
    if node is None or decoder is None:
        return None
    reaching = _guidance(node)
    projecting = [rule for rule in reaching if rule.value("projected") is True]
    if projecting and (decoder in APPROXIMATE or not node.source("vae")):
        return (
            f"{projecting[0].title} projects, which needs a decoder that can encode too: connect a "
            "VAE and choose decoder 'vae', or switch the projection off"
        )
    readers = [energy for energy in reaching if _reads_image(energy)]
    if node.source("vae") or decoder in APPROXIMATE or not readers:
        return None
    if decoder == "auto" and may_decode(node):
        return None
    other = ", or choose decoder 'taesd' or 'rgb'" if "decoder" in node.sockets else ""
    return (
        f"{readers[0].title} looks at the image, but there is no VAE to decode the latent: "
        f"connect a VAE{other}"
    )


def may_decode(node: Node) -> bool:
    """Whether there may be another decoder than a VAE: Shapes brings one, others are files."""
    return may_be_shapes(node) or bool(decoder_files())


def may_be_shapes(node: Node) -> bool:
    """Whether a node's model may be Shapes: one of all that it is made of, or not known at all."""
    model = node.source("model")
    return model is None or any(part.kind == SHAPES for part in model.made_of())


def image_fault(
    name: str, why: str = "looks at the image alone", advice: str = "connect another energy"
) -> str | None:
    """Why what is linked to an input must be an energy of the image or of the latent.

    Arguments:
        name: of the input.
        why: what the node does with it.
        advice: what to do instead.
    """
    node = validated()
    source = node.source(name) if node else None
    reaching = [source, *_guidance(source)] if source else []
    inside = next((part for part in reaching if _reads_inside(part)), None)
    if node is None or inside is None:
        return None
    reads = "the noisy latent" if inside.kind == NOISY else "attention or features inside the model"
    return f"{node.title} {why}, but {inside.title} reads {reads}: {advice}"


def network_fault(name: str, *loaders: str) -> str | None:
    """Why the network of an input is of the wrong kind.

    Arguments:
        name: of the input.
        loaders: classes of the nodes that load the right kinds.
    """
    node = validated()
    source = node.source(name) if node else None
    if node is None or source is None or not _is_ours(source) or source.kind in loaders:
        return None
    return (
        f"{node.title} needs a {name} from {' or '.join(map(title_of, loaders))}, got one from "
        f"{source.title}: connect one of the right kind"
    )


def missing_fault(name: str, when: str) -> str | None:
    """Why an input must be connected, in a case that is told as "with 'features'"."""
    node = validated()
    if node is None or node.source(name):
        return None
    return f"{node.title} needs a {name} {when}, got none: connect one"


def label_fault(name: str, *labels: str) -> str | None:
    """Which of some labels the network of an input does not know.

    Arguments:
        name: of the input.
        labels: what is asked of the network.
    """
    node = validated()
    source = node.source(name) if node else None
    kind = network_kind(source.kind) if source else None
    file = source.value("file") if source and kind else None
    architecture = source.value("architecture", "auto") if source else None
    if kind is None or file is None or architecture is None:
        return None
    try:
        known = networks.labels_of(kind, file, architecture)
    except (ValueError, OSError):
        return None  # its loader says so
    strange = [label for label in labels if known and label not in known]
    return unknown(strange[0], known, file) if strange else None


def one_of_fault(*names: str) -> str | None:
    """Why not exactly one of some inputs is connected, or has a text."""
    node = validated()
    if node is None:
        return None
    given = [name for name in names if node.source(name) or str(node.value(name, "")).strip()]
    if len(given) == 1:
        return None
    got = " and ".join(given) or "none"
    return f"{node.title} needs either {' or '.join(names)}, got {got}: give one of them"


def _guidance(node: Node) -> list[Node]:
    """Rules and energies of this pack that reach a node, through rules, sums and wrappers."""
    found: dict[str, Node] = {}
    waiting = [node]
    while waiting:
        node = waiting.pop(0)
        for name, source in node.sources(ENERGY, RULE):
            # A sum leaves out what has no weight; a metric only rates.
            left_out = name == "metric" or node.value(name.replace("energy", "weight")) == 0
            if not left_out and _is_ours(source) and source.id not in found:
                found[source.id] = source
                waiting.append(source)
    return list(found.values())


def _reads_inside(node: Node) -> bool:
    """Whether it is an energy of words or of a recording, or of the noisy latent."""
    reads = node.kind == NOISY or not INSIDE.isdisjoint(node.sockets.values())
    return _is_ours(node) and reads


def _reads_image(node: Node) -> bool:
    """Whether it is an energy that decodes the latent: those have a mask, and some the choice."""
    decodes = node.value("look", "image") == "image"
    return decodes and "mask" in node.sockets and not _reads_inside(node)


def _is_ours(node: Node) -> bool:
    return node.kind.startswith("EG")
