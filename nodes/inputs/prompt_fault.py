"""Whether words are picked from the prompt that the sampler gets, seen when a workflow is queued.

Only texts that are certain are compared: those of CLIP Text Encode and of the pack's own starts,
typed there or linked from a text node. Everything else is left to the run, which compares what the
text encoder made of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..host.browser.queued import Node, validated

# Through which sockets words reach the node that samples.
WAYS = ("GUIDANCE_TOKENS", "GUIDANCE_ENERGY", "GUIDANCE_RULE", "MODEL")
PROMPTS = ("positive", "conditioning")
SOURCE = "source_tokens"  # words of a recorded prompt, which no sampler gets
TEXTS = ("PrimitiveString", "PrimitiveStringMultiline")
SHOWN = 60  # characters of a text


def prompt_fault() -> str | None:
    """Which text the words are picked from, and which other one the sampler gets."""
    node = validated()
    own = text_of(node, "prompt") if node else None
    if node is None or own is None:
        return None
    for sampler in _fed_by(node):
        texts = [text for name in PROMPTS for text in _texts(sampler.source(name))]
        certain = [text for text in texts if text is not None]
        if certain == texts and texts and not any(_alike(own, text) for text in certain):
            picked, got = _shown(own, certain[0])
            return (
                f"the words are picked from the prompt '{picked}', but {sampler.title} gets "
                f"'{got}': connect one text node to both, or write the same text in both"
            )
    return None


def text_of(node: Node, name: str) -> str | None:
    """The text of a widget, or of the text node that is linked to it; None where not known."""
    source = node.source(name)
    if source is None:
        text = node.value(name)
        return text if isinstance(text, str) else None
    return text_of(source, "value") if source.kind in TEXTS else None


def _fed_by(node: Node) -> list[Node]:
    """The nodes that words reach, with a prompt of their own."""
    reached, waiting = {node.id}, [node.id]
    found = []
    while waiting:
        here = waiting.pop(0)
        for other in node.fed_from(here):
            ways = [(name, one.id) for name, one in other.sources(*WAYS) if name != SOURCE]
            # Of two models, or two rules of a switch, one may be left out.
            models = [name for name, _ in ways if other.sockets[name] == "MODEL"]
            if other.id in reached or len(models) > 1 or here not in dict(ways).values():
                continue
            reached.add(other.id)
            waiting.append(other.id)
            if any(other.sockets.get(name) == "CONDITIONING" for name in PROMPTS):
                found.append(other)
    return found


def _texts(node: Node | None, seen: frozenset[str] = frozenset()) -> Iterator[str | None]:
    """The texts of which a conditioning is made; None for one that is not certain."""
    if node is None or node.id in seen:
        return
    sources = dict(node.sources("CONDITIONING"))
    if node.kind == "CLIPTextEncode" or (node.kind.startswith("EG") and "text" in node.sockets):
        yield text_of(node, "text")
    elif not sources or "CLIP" in node.sockets.values():
        yield None
    else:
        followed = ["positive"] if "positive" in sources else list(sources)
        for name in followed:
            yield from _texts(sources[name], seen | {node.id})


def _alike(text: str, other: str) -> bool:
    """Whether two texts have the same words: case, signs and weights are left to the encoder."""
    return _words(text) == _words(other)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


def _shown(*texts: str) -> list[str]:
    """Texts on one line, cut to where they begin to differ."""
    plain = [" ".join(text.split()) for text in texts]
    same = next((i for i, two in enumerate(zip(*plain, strict=False)) if len(set(two)) > 1), 0)
    first = same - SHOWN // 2 if same > SHOWN // 2 else 0
    return [
        ("..." if first else "")
        + text[first : first + SHOWN]
        + ("..." if len(text) > first + SHOWN else "")
        for text in plain
    ]
