"""One job inside ComfyUI: a model at its true size, its plain and its guided step.

    python -m bench.gpu_check.inside sdxl "dynamic VRAM off" FILE [--tiny]

writes what it found to FILE after each measurement, so that nothing is lost where it is stopped.
Importing this starts ComfyUI's core, without a server, as its command line asks.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import gc
import importlib
import json
import os
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import psutil
import torch
from torch import Tensor

from bench.cost import memory
from bench.gpu_check.cases import CASES, DTYPES, KERNELS, MODES, Case
from tools.hosts import CHECKOUT, version

PACK = "energy_guidance"
GIGABYTE = 2**30
REPEATS = 3
# Of the weights in memory where they are offloaded: the rest is fetched layer by layer.
KEPT = 0.25
SPARE = 1.1  # of RAM, beside the weights
DRAWN = 2**20  # random numbers, of which weights are copies
# What a host of another version, or a device that is too small, may raise.
FAULTS = (RuntimeError, ValueError, TypeError, MemoryError, AttributeError, AssertionError)
# In float32 no rounding hides how far gradients are apart; nobody samples in it.
TYPES = {"bf16": torch.bfloat16, "fp8": torch.float8_e4m3fn, "float32": torch.float32}


def main() -> None:
    """Measure every type of weights of one case in one mode."""
    options = _options()
    _start(options.mode)
    (case,) = (case for case in CASES if case.key == options.case)
    found: dict[str, Any] = {"case": case.key, "mode": options.mode, **_surroundings()}
    write = lambda: options.file.write_text(json.dumps(found, indent=1), encoding="utf-8")
    write()
    try:
        if options.mode == "dynamic VRAM on":
            _enable_dynamic_vram()
    except ValueError as error:
        found["error"] = str(error)
        write()
        return
    for name in options.dtype:
        results = found.setdefault("weights", {}).setdefault(name, {})
        try:
            _measure(case, name, options, results, write)
        except FAULTS as error:
            # A model that does not fit or does not run says so; the others are measured still.
            results["error"] = f"{type(error).__name__}: {str(error).strip()[:300]}"
        write()
        _tidy()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.gpu_check.inside")
    parser.add_argument("case", choices=[case.key for case in CASES])
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("file", type=Path)
    parser.add_argument("--dtype", nargs="+", choices=list(TYPES), default=list(DTYPES))
    parser.add_argument("--tiny", action="store_true")
    return parser.parse_args()


def _host() -> Path:
    return Path(os.environ["COMFYUI_PATH"])


def _start(mode: str) -> None:
    """Put ComfyUI first on the path and let it read its arguments."""
    sys.path.insert(0, str(_host()))
    known = (_host() / "comfy" / "cli_args.py").read_text(encoding="utf-8")
    wanted = [] if torch.cuda.is_available() else ["--cpu"]
    wanted += {
        "dynamic VRAM off": ["--disable-dynamic-vram"],
        "dynamic VRAM on": ["--enable-dynamic-vram"],
        "sage attention": ["--use-sage-attention", "--disable-dynamic-vram"],
        "flash attention": ["--use-flash-attention", "--disable-dynamic-vram"],
    }[mode]
    kept, sys.argv = sys.argv, ["main.py", *(flag for flag in wanted if f'"{flag}"' in known)]
    importlib.import_module("comfy.options").enable_args_parsing()
    # As main.py does: later on, comfy/utils.py would take this name.
    importlib.import_module("utils.extra_config")
    importlib.import_module("comfy.sample")
    importlib.import_module("comfy.samplers")
    sys.argv = kept
    # ComfyUI has a module called nodes; the pack's own is a part of a package, as in custom_nodes.
    pack = types.ModuleType(PACK)
    pack.__path__ = [str(CHECKOUT)]
    sys.modules[PACK] = pack


def _enable_dynamic_vram() -> None:
    """Switch on what main.py does before its server starts, and no module offers.

    Raises:
        ValueError: this ComfyUI or this device has none.
    """
    if not torch.cuda.is_available():
        raise ValueError("expected a GPU for dynamic VRAM, got none: leave this mode out")
    try:
        control = importlib.import_module("comfy_aimdo.control")
        control.init()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"expected a ComfyUI with comfy-aimdo, got {error}: update it") from None
    devices = _management().get_all_torch_devices()
    try:
        works = control.init_devices((device.index, 0) for device in devices)
    except TypeError:  # comfy-aimdo before 0.4.10
        works = control.init_devices(device.index for device in devices)
    if not works:
        raise ValueError("expected a device for dynamic VRAM, got none: leave this mode out")
    patchers = importlib.import_module("comfy.model_patcher")
    patchers.CoreModelPatcher = patchers.ModelPatcherDynamic
    importlib.import_module("comfy.memory_management").aimdo_enabled = True


def _management() -> Any:
    return importlib.import_module("comfy.model_management")


def _surroundings() -> dict[str, Any]:
    """What the figures depend on."""
    device = _management().get_torch_device()
    attention = importlib.import_module("comfy.ldm.modules.attention").optimized_attention
    installed = {
        mode: importlib.util.find_spec(module) is not None for mode, module in KERNELS.items()
    }
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return {
        "host": version(_host()),
        "device": name,
        "torch": torch.__version__,
        "attention": attention.__name__,
        "installed": installed,
    }


def _measure(
    case: Case, name: str, options: Any, results: dict[str, Any], write: Callable[[], object]
) -> None:
    """Fill in the results of one type of weights."""
    family = _family(case, options.tiny)
    model = _model(family, TYPES[name])
    patcher = _patcher(model)
    results["weights_gb"] = patcher.model_size() / GIGABYTE
    run = functools.partial(_run, family, case)
    guided = _guided(patcher)
    run(patcher), run(guided)  # loads, and chooses kernels
    results["loaded_gb"] = patcher.loaded_size() / GIGABYTE
    plain, slow = [], []
    for _ in range(1 if options.tiny else REPEATS):
        plain.append(run(patcher))
        slow.append(run(guided))
    results |= {"plain_s": statistics.median(plain), "guided_s": statistics.median(slow)}
    results["ratio"] = statistics.median(g / p for g, p in zip(slow, plain, strict=True))
    write()
    results["plain_peak_mb"] = memory.peak_mb(lambda: run(patcher))
    results["guided_peak_mb"] = memory.peak_mb(lambda: run(guided))
    write()
    gradient = _gradient(run, patcher)
    results["gradient_norm"] = gradient.norm().item()
    torch.save(gradient, options.file.with_suffix(f".{name}.pt"))
    if options.mode == "dynamic VRAM off":
        patcher.detach()
        _tidy()
        offloaded = _offloaded(model)
        again = _gradient(run, offloaded)
        results["offloaded_loaded_gb"] = offloaded.loaded_size() / GIGABYTE
        results["offloaded_difference"] = difference(gradient, again)


def difference(one: Tensor, other: Tensor) -> float:
    """Norm of the difference, relative to the first's."""
    return ((one - other).norm() / one.norm().clamp_min(1e-30)).item()


def _family(case: Case, tiny: bool) -> Any:
    """The family of tests/host, at the case's size."""
    families = importlib.import_module(f"{PACK}.tests.host.families")
    if case.family not in families.FAMILIES:
        raise ValueError(f"expected a ComfyUI that knows {case.title}, got {version(_host())}")
    small = families.FAMILIES[case.family]
    if tiny:
        return small
    sizes = {name: getattr(case, name) for name in ("latent", "width", "length", "pooled")}
    return dataclasses.replace(small, settings={**small.settings, **case.settings}, **sizes)


def _config(family: Any, dtype: torch.dtype) -> Any:
    """The host's configuration, for weights that it computes with in bfloat16."""
    configs = importlib.import_module("comfy.supported_models")
    config = getattr(configs, family.config)(dict(family.settings))
    config.set_inference_dtype(dtype, None if dtype.itemsize > 1 else torch.bfloat16)
    return config


def _count(family: Any, dtype: torch.dtype) -> int:
    """How many weights the network has, without making them."""
    base = getattr(importlib.import_module("comfy.model_base"), family.base)
    with torch.device("meta"):
        network = base(_config(family, dtype), device="meta").diffusion_model
    return sum(weight.numel() for weight in network.parameters())


def _model(family: Any, dtype: torch.dtype) -> Any:
    """The host's model with random weights, where the host keeps models that wait.

    Raises:
        ValueError: there is not enough memory for it.
    """
    needed = _count(family, dtype) * dtype.itemsize * SPARE / GIGABYTE
    free = psutil.virtual_memory().available / GIGABYTE
    if needed > free:
        raise ValueError(f"expected {needed:.0f} GB of free RAM, got {free:.0f}: leave it out")
    base = getattr(importlib.import_module("comfy.model_base"), family.base)
    with torch.inference_mode():
        device = _management().unet_offload_device()
        model = base(_config(family, dtype), device=device)
        _fill(model.diffusion_model)
        return model.eval()


def _fill(network: torch.nn.Module) -> None:
    """Random weights, the same for every run, at the speed of copying memory."""
    numbers = torch.randn(2 * DRAWN, generator=torch.Generator().manual_seed(0))
    for number, (name, weight) in enumerate(network.named_parameters()):
        if weight.ndim < 2:
            weight.fill_(float(name.endswith(("weight", "scale"))))
            continue
        flat, start = weight.view(-1), number * 7919 % DRAWN
        drawn = numbers[start : start + min(flat.numel(), DRAWN)] * weight[0].numel() ** -0.5
        drawn = drawn.to(weight.dtype)
        for part in flat.split(DRAWN):
            part.copy_(drawn[: part.numel()])
    for buffer in network.buffers():
        if buffer.dtype.is_floating_point and not torch.isfinite(buffer.float()).all():
            buffer.zero_()


def _patcher(model: Any) -> Any:
    """The MODEL as the host's loaders make it."""
    management, patchers = _management(), importlib.import_module("comfy.model_patcher")
    kind = getattr(patchers, "CoreModelPatcher", patchers.ModelPatcher)
    return kind(
        model,
        load_device=management.get_torch_device(),
        offload_device=management.unet_offload_device(),
    )


def _offloaded(model: Any) -> Any:
    """The MODEL of which the host may load only a part."""
    management, patchers = _management(), importlib.import_module("comfy.model_patcher")

    class Offloaded(patchers.ModelPatcher):  # type: ignore[misc,name-defined]
        def load(
            self,
            device_to: Any = None,
            lowvram_model_memory: int = 0,
            force_patch_weights: bool = False,
            **options: Any,
        ) -> None:
            kept = max(int(KEPT * self.model_size()), 1)
            super().load(device_to, kept, force_patch_weights, full_load=False)

    return Offloaded(
        model,
        load_device=management.get_torch_device(),
        offload_device=management.unet_offload_device(),
    )


def _core(name: str) -> Any:
    return importlib.import_module(f"{PACK}.guidance_core.{name}")


def _guided(patcher: Any) -> Any:
    """The MODEL under Rule: Forward with an energy that needs no decoder but a linear one."""
    energy = _core("energies.color").MeanColor(torch.tensor([0.9, 0.1, 0.1]))
    rule = _core("rules.forward").Forward(energy, _core("schedules").Constant(0.5))
    return importlib.import_module(f"{PACK}.nodes.host.guide").apply(patcher, [rule], decoder="rgb")


@dataclasses.dataclass
class Slope:
    """A rule that records the gradient through the model and leaves the estimate as it is."""

    energy: Any
    strength: Any
    through_model: ClassVar[bool] = True

    def __call__(self, denoise: Any, x: Tensor, sigma: Tensor, run: Any) -> Any:
        """Evaluate the model once, with its graph."""
        estimate, value, grad = _core("gradients").through_model(self.energy, denoise, x, sigma)
        record = _core("trace").Record
        run.record(record("Slope", float(sigma[0]), value, value, value, None, {"grad": grad}))
        return estimate


def _gradient(run: Callable[[Any], object], patcher: Any) -> Tensor:
    """The gradient of the energy through the model, float32 on the CPU."""
    found: list[Any] = []
    energy = _core("energies.color").MeanColor(torch.tensor([0.9, 0.1, 0.1]))
    rule = Slope(energy, _core("schedules").Constant(1.0))
    guide = importlib.import_module(f"{PACK}.nodes.host.guide")
    run(guide.apply(patcher, [rule], decoder="rgb", trace=found.append))
    gradient: Tensor = found[0].terms["grad"].float().cpu().clone()
    if not gradient.isfinite().all() or not gradient.any():
        raise ValueError("expected a finite gradient that is not zero: random weights overflowed")
    return gradient


def _run(family: Any, case: Case, model: Any) -> float:
    """One step of the host's sampling at the case's noise level; its seconds."""
    samplers = importlib.import_module("comfy.samplers")
    spent = 0.0

    def step(denoise: Any, x: Tensor, sigmas: Tensor, extra_args: dict, **ignored: Any) -> Tensor:
        nonlocal spent
        _synchronise()
        began = time.perf_counter()
        denoise(x, sigmas[0] * x.new_ones(x.shape[0]), **extra_args)
        _synchronise()
        spent = time.perf_counter() - began
        return x

    with torch.inference_mode():
        latent = torch.zeros(1, *family.latent)
        noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(1))
        conds = [family.cond(1), family.cond(2)]
        importlib.import_module("comfy.sample").sample_custom(
            *(model, noise, case.cfg, samplers.KSAMPLER(step), torch.tensor([case.sigma, 0.0])),
            *(*conds, latent),
            disable_pbar=True,
            seed=0,
        )
    return spent


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _tidy() -> None:
    """Give memory back before the next model comes."""
    _management().unload_all_models()
    gc.collect()
    _management().soft_empty_cache()


if __name__ == "__main__":
    main()
