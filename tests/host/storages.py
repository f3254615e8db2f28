"""FLUX and its relatives, tiny, with weights kept in the ways in which their owners keep them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import comfy.ldm.chroma.model
import comfy.ldm.flux.model
import comfy.model_base
import comfy.model_patcher
import comfy.ops
import comfy.supported_models
import comfy.weight_adapter
import pytest
import torch
from energy_guidance.tests.host import tiny
from torch import Tensor, nn


def _known(params: type, settings: dict) -> dict:
    names = {field.name for field in dataclasses.fields(params)} | {"image_model"}
    return {name: value for name, value in settings.items() if name in names}


FLUX = _known(comfy.ldm.flux.model.FluxParams, {**tiny.FLUX, "txt_ids_dims": []})
CHROMA = _known(
    comfy.ldm.chroma.model.ChromaParams,
    {
        **FLUX,
        "image_model": "chroma",
        "in_channels": 64,
        "out_channels": 64,
        "vec_in_dim": None,
        "in_dim": 64,
        "out_dim": 64,
        "hidden_dim": 64,
        "n_layers": 2,
    },
)
# Of the host's configuration, of its model, settings, and what its conditioning holds.
FAMILIES: dict[str, tuple[str, str, dict, dict]] = {
    "flux": ("Flux", "Flux", FLUX, {}),
    "kontext": (
        "Flux",
        "Flux",
        FLUX,
        {"reference_latents": [torch.linspace(-1, 1, 1024).view(1, 16, 8, 8)]},
    ),
    "fill": ("FluxInpaint", "Flux", {**FLUX, "in_channels": 96}, {}),
    "chroma": ("Chroma", "Chroma", CHROMA, {}),
    "longcat": (
        "LongCatImage",
        "LongCatImage",
        {**FLUX, "vec_in_dim": None, "txt_ids_dims": [1, 2]},
        {},
    ),
}
FAMILIES = {k: family for k, family in FAMILIES.items() if hasattr(comfy.model_base, family[1])}
# Further hosts need not repeat but the first.
ONE_EVERYWHERE = [pytest.param(k, marks=() if k == "flux" else pytest.mark.once) for k in FAMILIES]


def sample_options(family: str) -> dict[str, Any]:
    """What tiny.sample needs for a family."""
    extra = {"pooled_output": torch.ones(1, 32), **FAMILIES[family][3]}
    conds = {"positive": tiny.cond(1, 48, **extra), "negative": tiny.cond(2, 48, **extra)}
    return {"channels": 16, **conds}


def _built(
    family: str,
    dtype: torch.dtype = torch.float32,
    cast: torch.dtype | None = None,
    operations: Any = None,
) -> nn.Module:
    config, base, settings, _ = FAMILIES[family]
    config = getattr(comfy.supported_models, config)(settings)
    config.custom_operations = operations
    config.set_inference_dtype(dtype, cast)
    return getattr(comfy.model_base, base)(config).eval()


def resident(family: str) -> nn.Module:
    """The model with plain fp32 weights."""
    model = _built(family)
    tiny._filled(model.diffusion_model)
    return model


def _cast(dtype: torch.dtype) -> Callable[[str], nn.Module]:
    def make(family: str) -> nn.Module:
        model = _built(family, dtype, torch.float32)
        tiny._filled(model.diffusion_model)
        return model

    return make


def linear_names(network: nn.Module) -> list[str]:
    return [name for name, part in network.named_modules() if hasattr(part, "in_features")]


# Weights whose rows are rotated in groups: as small ones as there are.
GROUPS = {name: {"convrot_groupsize": 16} for name in ("convrot_w4a4", "asym_w4a8_int8")}


def _quantised(name: str, *, whole: bool) -> Callable[[str], nn.Module]:
    """Weights in a quantised format of the host; whole: they are dequantised for each layer."""
    layout = comfy.ops.QUANT_ALGOS[name]["comfy_tensor_layout"]
    quantise = comfy.ops.QuantizedTensor.from_float
    groups = GROUPS.get(name, {})
    note = torch.tensor(list(json.dumps({"format": name, **groups}).encode()), dtype=torch.uint8)

    def make(family: str) -> nn.Module:
        ops = comfy.ops.mixed_precision_ops({}, torch.float32, full_precision_mm=whole)
        model, plain = _built(family, operations=ops), resident(family).diffusion_model
        state = plain.state_dict()
        for layer in linear_names(plain):
            weight = state[f"{layer}.weight"]
            if groups and weight.shape[1] % 64:  # left as it is, as the format demands
                continue
            del state[f"{layer}.weight"]
            kept = quantise(weight, layout, scale="recalculate", **groups)
            state |= {**kept.state_dict(f"{layer}.weight"), f"{layer}.comfy_quant": note}
        model.diffusion_model.load_state_dict(state)
        return model

    return make


def _scaled_fp8(family: str) -> nn.Module:
    """Weights in fp8 with a scale for each layer, as older hosts keep them."""
    ops = comfy.ops.scaled_fp8_ops(override_dtype=torch.float8_e4m3fn)
    model = _built(family, torch.float32, torch.float32, ops)
    tiny._filled(model.diffusion_model)
    for name in linear_names(model.diffusion_model):
        model.diffusion_model.get_submodule(name).scale_weight.fill_(0.7)
    return model


class _Packed(comfy.ops.manual_cast):
    """Layers in the manner of packs that load GGUF files: they unpack their weights themselves."""

    class Linear(comfy.ops.manual_cast.Linear):
        comfy_cast_weights = True
        lora = None

        def pack(self, weight: Tensor) -> None:
            self.scale = weight.abs().amax(1, keepdim=True) / 127
            self.weight = nn.Parameter((weight / self.scale).round().char(), requires_grad=False)

        def cast_bias_weight(self, x=None, dtype=None, device=None, bias_dtype=None):
            dtype = x.dtype if dtype is None else dtype
            weight = self.weight.to(dtype) * self.scale.to(dtype)
            weight = weight if self.lora is None else self.lora(weight)
            return weight, None if self.bias is None else self.bias.to(dtype)

        def forward_comfy_cast_weights(self, x):
            weight, bias = self.cast_bias_weight(x)
            return nn.functional.linear(x, weight, bias)


def _packed(family: str) -> nn.Module:
    model = _built(family, operations=_Packed)
    tiny._filled(model.diffusion_model)
    for name in linear_names(model.diffusion_model):
        layer = model.diffusion_model.get_submodule(name)
        layer.pack(layer.weight)
    return model


STORAGES: dict[str, Callable[[str], nn.Module]] = {
    "fp16": _cast(torch.float16),
    "bf16": _cast(torch.bfloat16),
    "e4m3": _cast(torch.float8_e4m3fn),
    "e5m2": _cast(torch.float8_e5m2),
    "gguf": _packed,
    "low vram": resident,
}
# Layers that round activations too: differences of the energy are steps there, and the gradient
# is that of the weights without the rounding. The least cosine of the two.
ROUNDED: dict[str, float] = {}
if hasattr(comfy.ops, "scaled_fp8_ops"):
    STORAGES["scaled fp8"] = _scaled_fp8
if hasattr(comfy.ops, "QUANT_ALGOS"):
    STORAGES |= {name: _quantised(name, whole=True) for name in comfy.ops.QUANT_ALGOS}
    STORAGES["rounded fp8"] = _quantised("float8_e4m3fn", whole=False)
    ROUNDED = {
        "int8_tensorwise": 0.99,
        "asym_w4a8_int8": 0.99,
        "rounded fp8": 0.98,
        "convrot_w4a4": 0.85,
    }


class _LowVram(comfy.model_patcher.ModelPatcher):
    """Leaves all weights where they are: they are fetched, and patched, for each layer."""

    def load(self, device_to=None, lowvram_model_memory=0, force_patch_weights=False, **options):
        super().load(device_to, 1, force_patch_weights, full_load=False)


def adapters(network: nn.Module) -> dict[str, Any]:
    """A LoRA of rank 2 on every Linear."""
    generator = torch.Generator().manual_seed(3)
    found = {}
    for name in linear_names(network):
        layer = network.get_submodule(name)
        up = torch.randn(layer.out_features, 2, generator=generator) * 0.2
        down = torch.randn(2, layer.in_features, generator=generator) * layer.in_features**-0.5
        weights = (up, down, 2.0, None, None, None)
        found[f"diffusion_model.{name}.weight"] = comfy.weight_adapter.LoRAAdapter(set(), weights)
    return found


def patcher(family: str, storage: str, *, lora: bool) -> Any:
    """A MODEL of a family in a storage, with or without a LoRA that waits for each layer."""
    with torch.inference_mode():
        model = STORAGES[storage](family)
        cpu = torch.device("cpu")
        pending = lora or storage == "low vram"
        kind = _LowVram if pending else comfy.model_patcher.ModelPatcher
        found = kind(model, load_device=cpu, offload_device=cpu)
        if lora and storage == "gguf":
            for key, adapter in adapters(model.diffusion_model).items():
                layer = model.get_submodule(key.removesuffix(".weight"))
                up, down = adapter.weights[:2]
                layer.lora = lambda weight, delta=up @ down: weight + delta
        elif lora:
            found.add_patches(adapters(model.diffusion_model))
    return found


@torch.inference_mode()
def settled(family: str, stored: Any) -> Any:
    """The same MODEL with resident fp32 weights: those that the layers of a loaded one apply."""
    model, kept = resident(family), stored.model.diffusion_model
    state = {k: v for k, v in kept.state_dict().items() if v.dtype.is_floating_point}
    plain = model.diffusion_model.state_dict()
    plain |= {k: v.float() for k, v in state.items() if k in plain and v.shape == plain[k].shape}
    for name in linear_names(kept):
        layer = kept.get_submodule(name)
        bias = layer(torch.zeros(1, layer.in_features))
        plain[f"{name}.weight"] = (layer(torch.eye(layer.in_features)) - bias).T
    model.diffusion_model.load_state_dict(plain)
    return tiny.patcher(model)
