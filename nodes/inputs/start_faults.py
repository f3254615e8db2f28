"""What a start lacks, so that the node turns red when its workflow is queued.

As in `faults.py`: None where nothing is certain to be wrong.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from ...guidance_core.attention.phrases import WEIGHTS, WORD
from ..host import networks
from ..host.browser.queued import validated
from ..host.decode import CHOICES
from .faults import may_be_shapes, may_decode, network_fault
from .prompt_fault import text_of


def decoder_fault() -> str | None:
    """Why nothing would decode the latent."""
    node = validated()
    decoder = node.value("decoder", "auto") if node else None
    if decoder not in (None, *CHOICES):  # hosts as old as 0.3.64 do not look
        return f"decoder must be one of {', '.join(CHOICES)}, got {decoder}"
    if node is None or node.source("vae") or decoder not in ("auto", "vae"):
        return None
    if decoder == "auto" and may_decode(node):
        return None
    return (
        "expected a VAE that decodes what is guided, got none: connect the model's VAE, or "
        "choose decoder rgb, or put a tiny one into models/vae_approx"
    )


def guide_fault(kind: networks.Kind, *loaders: str) -> str | None:
    """Why there is no guide network of a kind: another is connected, or none and no file is there.

    Arguments:
        kind: what is looked for in models/guidance where nothing is connected.
        loaders: classes of the nodes that load what may be connected.
    """
    node = validated()
    if node is None or node.source("network"):
        return network_fault("network", *loaders)
    return None if may_be_shapes(node) or networks.present(kind) else networks.absence(kind)


def prompt_text() -> str | None:
    """The prompt of the node that is being validated; None where it is not known."""
    node = validated()
    return text_of(node, "text") if node else None


def words_fault(phrases: Iterable[str]) -> str | None:
    """Which phrase has a word that the prompt of the node cannot hold, however it is tokenized."""
    text = prompt_text()
    if text is None:
        return None
    there = _letters(WEIGHTS.sub(" ", text))
    for phrase in phrases:
        if any(_letters(word) not in there for word in WORD.findall(phrase.partition("#")[0])):
            known = ", ".join(dict.fromkeys(WORD.findall(WEIGHTS.sub(" ", text)))) or "nothing"
            return (
                f"expected words of the prompt, got '{phrase}', which is not in it: choose among "
                f"{known}, or write it into the prompt"
            )
    return None


def _letters(text: str) -> str:
    """Letters and digits alone, without case and accents, as the plainest tokenizer has them."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum())
