"""What the families of transformers have in common: lists of blocks, and tokens in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any

from torch import nn

from ...autograd.kernels import as_written
from ..laid import Laid
from ..layout import Layout
from ..tokens import Tokens
from ..transformer_reader import TransformerReader


def whole(block: nn.Module) -> nn.Module:
    """Attention is computed by the block itself."""
    return block


@dataclass(frozen=True)
class Transformer:
    """How a family of transformers is read.

    Arguments:
        blocks: for each name that layers get, the network's list of such blocks; "default" stands
            for the middle third of the first list, where words find their places.
        patch: attribute of the network, a side or the sides of an image token in latent pixels; or
            these sides.
        tokens: where image and text stand in the blocks.
        attention: the module of a block that computes attention to the text.
        itself: that in which the image attends to itself; the same where attention is joint.
    """

    blocks: Mapping[str, str]
    patch: str | tuple[int, ...]
    tokens: Tokens = field(default_factory=Tokens)
    attention: Callable[[nn.Module], nn.Module] = whole
    itself: Callable[[nn.Module], nn.Module] = whole

    def layout(self, network: nn.Module) -> Layout:
        """Return what can be read in a network of this family."""
        named = {
            name: _named(name, attrgetter(path)(network)) for name, path in self.blocks.items()
        }
        blocks = {name: block for part in named.values() for name, block in part.items()}
        usual = tuple(next(iter(named.values())))
        third = len(usual) // 3
        middle = usual[third : len(usual) - third]
        patch = getattr(network, self.patch) if isinstance(self.patch, str) else self.patch
        sides = tuple(patch) if isinstance(patch, (tuple, list)) else (patch, patch)
        laid = partial(Laid, self.tokens, sides)
        reader = partial(TransformerReader, network=network, laid=laid)
        attention, itself = (
            {name: part(as_written(block)) for name, block in blocks.items()}
            for part in (self.attention, self.itself)
        )
        return Layout(
            *(attention, blocks, middle, middle[-1:], reader, self.tokens.joint),
            laid=laid,
            itself=itself,
        )


def family_of(network: nn.Module, families: Mapping[str, Any]) -> Any:
    """The entry of a network's class, or of a class that it derives from; None if there is none.

    Classes are named, so that no family's module is imported before it is used.
    """
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(as_written(network)).__mro__)
    return next((families[name] for name in names if name in families), None)


def _named(name: str, blocks: Any) -> dict[str, nn.Module]:
    listed: Iterable[nn.Module] = blocks.values() if isinstance(blocks, nn.ModuleDict) else blocks
    return {f"{name}.{i}": block for i, block in enumerate(listed)}
