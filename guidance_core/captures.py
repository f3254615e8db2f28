"""What energies may ask to see from inside the model: attention maps and features.

A request is made without knowing the model, so layers have symbolic names: the host says which of
its layers each of them means, and the error of an unknown one lists those there are.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT, ALL = "default", "all"
HEADS = ("mean", "each")
MAPS = ("attention", "concept")
Layers = str | tuple[str, ...]


@dataclass(frozen=True)
class Attention:
    """Cross-attention maps of the positive prompt: where the image attends to its words.

    The value is one tensor per layer, (B, K, h, w): the softmax over the whole context, averaged
    over heads, one map per position, in the layer's own resolution and the latent's aspect. In
    models of joint attention it is the part of an image token's attention that goes to the text.
    With each head by itself it is (B, K, H, h, w), for H heads. Models of video give every map a
    frame axis before its last two, (B, K, T, h, w), where the latent has more than one frame.

    Arguments:
        positions: places in the positive prompt's context, in the order of the K maps; none means
            every one.
        layers: "default" (the host's choice for the model), "all", or names of layers.
        heads: "mean" of them, or "each".
        map: "attention", or "concept": in its place, how alike an image token and a text token are
            after attention, made a share of the text (see `attention.maps.concept_maps`); of models
            of joint attention only.

    Raises:
        ValueError: a negative position, no layers, or an unknown choice of heads or map.
    """

    positions: tuple[int, ...] = ()
    layers: Layers = DEFAULT
    heads: str = "mean"
    map: str = "attention"

    def __post_init__(self) -> None:
        if self.heads not in HEADS:
            raise ValueError(f"heads must be one of {', '.join(HEADS)}, got '{self.heads}'")
        check_map(self.map)
        if any(position < 0 for position in self.positions):
            raise ValueError(f"positions must be >= 0, got {self.positions}")
        _check_layers(self.layers)

    def __str__(self) -> str:
        """The request as messages name it."""
        of = f"positions {_listed(self.positions)}" if self.positions else "the whole prompt"
        by = " by head" if self.heads == "each" else ""
        what = "attention to" if self.map == "attention" else "concept maps of"
        return f"{what} {of} in {_layers_named(self.layers)}{by}"


@dataclass(frozen=True)
class Features:
    """Activations of the positive branch, one tensor (B, C, h, w) per layer.

    Those of video have a frame axis, (B, C, T, h, w), where the latent has more than one frame.

    Arguments:
        layers: "default" (the host's choice for the model), "all", or names of layers.

    Raises:
        ValueError: no layers.
    """

    layers: Layers = DEFAULT

    def __post_init__(self) -> None:
        _check_layers(self.layers)

    def __str__(self) -> str:
        """The request as messages name it."""
        return f"features of {_layers_named(self.layers)}"


Capture = Attention | Features


def check_map(name: str) -> None:
    """Refuse what is no kind of map.

    Raises:
        ValueError: an unknown name.
    """
    if name not in MAPS:
        raise ValueError(f"map must be one of {', '.join(MAPS)}, got '{name}'")


def _layers_named(layers: Layers) -> str:
    if isinstance(layers, str):
        return f"{'the default' if layers == DEFAULT else layers} layers"
    return f"layer{'s' if len(layers) > 1 else ''} {_listed(layers)}"


def _listed(parts: tuple[int, ...] | tuple[str, ...]) -> str:
    return ", ".join(map(str, parts))


def _check_layers(layers: Layers) -> None:
    if isinstance(layers, str) and layers not in (DEFAULT, ALL):
        raise ValueError(
            f"layers must be '{DEFAULT}', '{ALL}' or a tuple of names, got '{layers}': "
            f"write ('{layers}',) for one layer"
        )
    if not layers:
        raise ValueError("no layers: name at least one, or use 'default'")


def chosen_layers(
    layers: Layers, default: tuple[str, ...], there: tuple[str, ...]
) -> tuple[str, ...]:
    """Names of the layers that a request means, in the model's order.

    Arguments:
        layers: as in the request.
        default: what "default" means for this model.
        there: every layer of this model.

    Raises:
        ValueError: the model has no such layer; the message lists those it has.
    """
    wanted = {DEFAULT: default, ALL: there}[layers] if isinstance(layers, str) else layers
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise ValueError(
            f"this model has no layer {', '.join(unknown)}: use 'default', 'all' or some of "
            f"{', '.join(there)}"
        )
    return tuple(name for name in there if name in wanted)
