"""What is taken from inside a transformer while it sees one image, and put in beside another.

Queries and keys of the image are exchanged where its blocks hand them to the host's kernel, and an
edit of its attention is added to what the kernel gave: kernels, and whatever other packs have put
in their place, stay as they are.

References:
    Exploring Multimodal Diffusion Transformers for Enhanced Prompt-based Image Editing, Shin et al.
    2025, arXiv:2508.07519, section 4 and its code: queries and keys of the image's tokens alone,
    of all blocks, and of the joint attention alone where Stable Diffusion 3.5 has a second one.
    Taming Rectified Flow for Inversion and Editing (RF-Edit), Wang et al. 2024, arXiv:2411.04746,
    and its code, which exchanges values of the later blocks in place of queries and keys.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ....guidance_core.attention.joint import edited_rows
from ....guidance_core.attention.weights import rows_at_once
from ..autograd.kernels import uncompiled
from ..reading.call import Call
from ..reading.laid import Laid
from ..reading.layout import Layout
from ..reading.watching import Around, Watching
from .attended import Attended, attended, image_of, looks_of
from .putting import OUT, Putting, Taken, changed
from .wanted import Wanted

TEXT, LOOKS, STREAM = "text", "looks", "stream"
ALL = slice(None)


@dataclass(eq=False)
class TransformerExchange:
    """Takes from one evaluation of a transformer, and puts into others.

    Arguments:
        network: the host's diffusion network.
        layout: what can be read in it.
    """

    network: nn.Module
    layout: Layout

    @property
    def attention(self) -> dict[str, nn.Module]:
        """Modules of attention to the text by name."""
        return self.layout.attention

    @property
    def itself(self) -> dict[str, nn.Module]:
        """Modules in which the image attends to itself; the same where attention is joint."""
        return self.layout.itself

    @property
    def features(self) -> dict[str, nn.Module]:
        """Blocks whose output is exchanged, by name."""
        return self.layout.features

    @contextlib.contextmanager
    def taking(self, wanted: Wanted) -> Iterator[Taken]:
        """Take what is wanted from the evaluation inside."""
        taken: Taken = {}

        def take_looks(name: str, call: Call, laid: Laid) -> Tensor:
            q, k = looks_of(name, laid, call, ALL)
            taken.setdefault((LOOKS, name, OUT), (q.detach(), k.detach()))
            return call()

        def take(name: str, call: Call, laid: Laid) -> Tensor:
            taken.setdefault((TEXT, name, OUT), attended(call, ALL, laid))
            return call()

        def keep(name: str, module: nn.Module, args: Any, out: Any) -> None:
            now = watching.now
            tokens = now.stream(out).flatten(1, -2)[:, now.in_stream(out)]
            # The host may go on in place.
            taken.setdefault((STREAM, name, OUT), tokens.detach().clone())

        with self._watching(wanted, take_looks, take, keep) as watching:
            yield taken

    @contextlib.contextmanager
    def putting(self, network: nn.Module, wanted: Wanted, putting: Putting) -> Iterator[None]:
        """Put in what was taken, in each evaluation inside."""
        done: set[tuple[str, ...]] = set()

        def begin(network: nn.Module, args: tuple, kwargs: dict) -> None:
            done.clear()
            putting.begin(network, args, kwargs)

        def is_due(*key: str) -> bool:
            """Whether a layer is still to be changed in this evaluation: asked again, it is not."""
            if not putting.rows or key in done:
                return False
            done.add(key)
            return True

        def put_looks(name: str, call: Call, laid: Laid) -> Tensor:
            changing = is_due(LOOKS, name)
            return _exchanged(name, call, laid, putting) if changing else call()

        def put(name: str, call: Call, laid: Laid) -> Tensor:
            changing = is_due(TEXT, name)
            return _edited(name, call, laid, wanted, putting) if changing else call()

        def replace(name: str, module: nn.Module, args: Any, out: Any) -> Any:
            changing = is_due(STREAM, name)
            return _replaced(name, out, watching.now, putting) if changing else None

        with contextlib.ExitStack() as stack:
            handle = network.register_forward_pre_hook(begin, with_kwargs=True)
            stack.callback(handle.remove)
            watching = stack.enter_context(self._watching(wanted, put_looks, put, replace))
            yield

    @contextlib.contextmanager
    def _watching(
        self, wanted: Wanted, looks: Around, text: Around, after: Callable
    ) -> Iterator[Watching]:
        """Stand around both attentions of wanted layers, and behind blocks of wanted features."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(uncompiled())
            for modules, names, around in (
                (self.itself, wanted.own, looks),
                (self.attention, {*wanted.edited, *wanted.seen}, text),
            ):
                chosen = {name: part for name, part in modules.items() if name in names}
                watching = Watching(self.network, chosen, self.layout.laid, around)
                for handle in watching.hooks():
                    stack.callback(handle.remove)
                stack.callback(watching.close)
            for name in wanted.features:
                hook = self.features[name].register_forward_hook(partial(after, name))
                stack.callback(hook.remove)
            yield watching


def _exchanged(name: str, call: Call, laid: Laid, putting: Putting) -> Tensor:
    """What a layer gives by the source's queries and keys of the image."""
    image, looks = image_of(laid, call), putting.taken[LOOKS, name, OUT]
    for look, own in zip(looks, looks_of(name, laid, call, putting.rows[0]), strict=True):
        if look.shape[1:] != own.shape[1:]:
            raise RuntimeError(changed(name, look, own))
    return call.with_looks(putting.rows, image, looks)


def _edited(name: str, call: Call, laid: Laid, wanted: Wanted, putting: Putting) -> Tensor:
    """What a layer gives, with the edit of its attention added in its rows."""
    out, source = call(), putting.taken[TEXT, name, OUT]
    edits = name in wanted.edited
    out = out.clone() if edits else out
    for rows in putting.rows:
        target, values = attended(call, rows, laid), call.values(rows)
        if source.q.shape[1:] != target.q.shape[1:]:
            raise RuntimeError(changed(name, source.q, target.q))
        size = min(rows_at_once(target.q, part.k) for part in (source, target))
        edit = partial(_changes, name, (source, target), values if edits else None)
        pairs = zip(source.chunks(size), target.chunks(size), strict=True)
        parts = [
            checkpoint(edit, *pair, wanted, putting, use_reentrant=False)
            if torch.is_grad_enabled()
            else edit(*pair, wanted, putting)
            for pair in pairs
        ]
        changes, *looks = zip(*parts, strict=True)
        if edits:
            call.add(out, rows, target.image, torch.cat(changes, 2))
        putting.maps[name] = [torch.cat(look, 1).unflatten(-1, laid.size) for look in looks]
    return out


def _changes(
    name: str,
    pair: tuple[Attended, Attended],
    values: Tensor | None,
    source: Callable[[], Tensor],
    target: Callable[[], Tensor],
    wanted: Wanted,
    putting: Putting,
) -> tuple[Tensor, ...]:
    """How an edit changes a chunk's outputs (B, heads, n, D), and what both attend to: (B, n)."""
    columns = [part.columns(text) for part, text in zip(pair, putting.texts, strict=True)]
    there, here = source(), target()
    looks = putting.to_words(there[..., columns[0].text], here[..., columns[1].text])
    if values is None:
        return here[..., :0], *looks
    alignment = putting.alignment if name in wanted.cross else None
    rows = edited_rows(there, here, tuple(columns), alignment, itself=name in wanted.itself)
    return (rows - here) @ values.to(rows), *looks


def _replaced(name: str, out: Any, laid: Laid, putting: Putting) -> Any:
    """What a block returned, with the source's image in its rows."""
    source, several = putting.taken[STREAM, name, OUT], isinstance(out, (tuple, list))
    image, stream = laid.in_stream(out), laid.stream(out)
    new = stream.clone(memory_format=torch.contiguous_format)
    tokens = new.view(len(new), -1, new.shape[-1])
    for rows in putting.rows:
        own = tokens[rows, image]
        if source.shape[1:] != own.shape[1:]:
            raise RuntimeError(changed(name, source, own))
        tokens[rows, image] = source.to(own)
    new = new.movedim(0, laid.tokens.batch)
    if not several:
        return new
    return type(out)(new if i == laid.tokens.stream else part for i, part in enumerate(out))
