"""What other packs bring into an evaluation: patches, wrappers and hooks with networks of theirs.

Their tensors were made in the host's inference mode, as the host's own are, but they are held in
closures and attributes where no loan reaches them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from .weights import lendable

REFUSALS = ("Inference tensors cannot be saved", "Inplace update to inference tensor")
PATCHES = ("patches", "patches_replace", "optimized_attention_override")
IN_CONDS = {"control", "gligen", "hooks"}
# What the host's own nodes and samplers leave in the options of a plain model.
PLAIN = {"transformer_options", "to_load_options", "disable_cfg1_optimization"}


class NormalOnUse(TorchFunctionMode):
    """Repeats what autograd refuses for an inference tensor, with a normal view in its place.

    Autograd refuses before anything is computed or written.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        try:
            return func(*args, **kwargs)
        except RuntimeError as error:
            if not str(error).startswith(REFUSALS):
                raise
        args, kwargs = tree_map_only(Tensor, lendable, (args, kwargs))
        return func(*args, **kwargs)


def normal_on_use(*, needed: bool) -> contextlib.AbstractContextManager[Any]:
    """Let autograd save the inference tensors of other packs, where there are any."""
    return NormalOnUse() if needed else contextlib.nullcontext()


def has_guests(options: Mapping[str, Any], conds: Iterable[Any], model: Any, own: str) -> bool:
    """Whether more takes part in an evaluation than the host's plain model and this pack.

    Arguments:
        options: the host's model options.
        conds: the cond dicts of the run.
        model: the host's ModelPatcher.
        own: key of this pack's wrappers.
    """
    return (
        not PLAIN.issuperset(options)
        or _is_patched(options.get("transformer_options", {}), own)
        or any(IN_CONDS.intersection(cond) for cond in conds)
        or bool(getattr(model, "injections", None))
        or any(map(_is_hooked, model.model.modules()))
    )


def _is_patched(transformer: Mapping[str, Any], own: str) -> bool:
    kinds = [*transformer.get("wrappers", {}).values(), *transformer.get("callbacks", {}).values()]
    others = any(functions for kind in kinds for key, functions in kind.items() if key != own)
    return others or any(transformer.get(name) for name in PATCHES)


def _is_hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))
