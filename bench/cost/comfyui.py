"""The compared steps in a real ComfyUI: its models, its samplers, its inference mode.

Importing this starts ComfyUI's core (without a server) in this process.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.cost import kinds
from tools.hosts import CHECKOUT, version

HOST = Path(os.environ["COMFYUI_PATH"])
PACK = "energy_guidance"


def _start() -> None:
    """Put ComfyUI first on the path and let it read its (few) arguments."""
    sys.path.insert(0, str(HOST))
    arguments, sys.argv = sys.argv, ["main.py", *([] if torch.cuda.is_available() else ["--cpu"])]
    importlib.import_module("comfy.options").enable_args_parsing()
    # As main.py does: later on, comfy/utils.py would take this name.
    importlib.import_module("utils.extra_config")
    importlib.import_module("comfy.samplers")
    sys.argv = arguments
    # ComfyUI has a module called nodes; the pack's own is a part of a package, as in custom_nodes.
    pack = types.ModuleType(PACK)
    pack.__path__ = [str(CHECKOUT)]
    sys.modules[PACK] = pack


_start()

import comfy.ldm.modules.attention  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.sample  # noqa: E402
import comfy.samplers  # noqa: E402
import comfy.supported_models  # noqa: E402
from comfy.ldm.modules.attention import BasicTransformerBlock  # noqa: E402
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock  # noqa: E402
from comfy.ldm.modules.diffusionmodules.util import checkpoint  # noqa: E402

guide = importlib.import_module(f"{PACK}.nodes.host.guide")
shapes = importlib.import_module(f"{PACK}.nodes.host.shapes")
decode = importlib.import_module(f"{PACK}.nodes.host.decode")
core = importlib.import_module(f"{PACK}.guidance_core")
_PARTS = "types attention.words schedules energies.box energies.color rules.forward rules.backward"
for _part in [*_PARTS.split(), "process", "shaping"]:
    importlib.import_module(f"{PACK}.guidance_core.{_part}")

NAME = f"comfyui {version(HOST)}"
DEVICE = comfy.model_management.get_torch_device()
THREADS = torch.get_num_threads()
# Side of the latent, width of the text embedding.
SIZES = {"shapes": (16, 64), "sd15": (64, 768)}
SD15 = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "num_heads": 8,
    "context_dim": 768,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "use_temporal_attention": False,
    "adm_in_channels": None,
    "legacy": False,
}
SD15_PARAMETERS = 859_520_964


def steps(case: str) -> dict[str, Callable[[], float]]:
    """Every kind of step of one case."""
    side, width = SIZES[case]
    with torch.inference_mode():
        model = shapes.load_model() if case == "shapes" else sd15()
        conds = [[[torch.randn(1, 77, width), {}]] for _ in range(2)]
        noise = torch.randn(1, 4, side, side)
    found = {}
    for kind, own in kinds.kinds(core).items():
        guided = guide.apply(model, own, decoder="rgb") if own else model
        found[kind] = _step(guided, conds, noise, kinds.sigmas(case))
    reference = _reference(model, conds, noise, kinds.sigmas(case))
    return {**found, "reference": reference, "released": _released(model.model, reference)}


def sd15() -> Any:
    """A MODEL of Stable Diffusion 1.5's configuration with random weights."""
    dtype = torch.bfloat16 if DEVICE.type == "cuda" else torch.float32
    recipe = comfy.supported_models.SD15(dict(SD15))
    recipe.set_inference_dtype(dtype, None)
    model = comfy.model_base.BaseModel(recipe, device=DEVICE).eval()
    count = sum(weight.numel() for weight in model.diffusion_model.parameters())
    if count != SD15_PARAMETERS:
        raise RuntimeError(
            f"expected {SD15_PARAMETERS} weights of Stable Diffusion 1.5, got {count}"
        )
    for name, weight in model.diffusion_model.named_parameters():
        if weight.ndim > 1:
            weight.normal_(std=weight[0].numel() ** -0.5)
        else:
            weight.fill_(float(name.endswith("weight")))
    return comfy.model_patcher.ModelPatcher(model, load_device=DEVICE, offload_device=DEVICE)


def _step(model: Any, conds: list, noise: Tensor, sigmas: Tensor) -> Callable[[], float]:
    """Seconds of a step as a sampler sees it, in a run through the host's own sampling."""

    def run() -> float:
        spent = 0.0

        def sampler_function(
            denoise: Any, x: Tensor, sigmas: Tensor, extra_args: dict, **ignored: Any
        ) -> Tensor:
            nonlocal spent
            ones = x.new_ones(x.shape[0])
            _synchronise()
            began = time.perf_counter()
            for sigma in sigmas[:-1]:
                denoise(x, sigma * ones, **extra_args)
            _synchronise()
            spent = (time.perf_counter() - began) / (len(sigmas) - 1)
            return x

        with torch.inference_mode():
            sampler = comfy.samplers.KSAMPLER(sampler_function)
            latent = torch.zeros_like(noise)
            comfy.sample.sample_custom(
                model, noise, kinds.CFG, sampler, sigmas, *conds, latent, disable_pbar=True, seed=0
            )
        return spent

    return run


def _reference(model: Any, conds: list, noise: Tensor, sigmas: Tensor) -> Callable[[], float]:
    """A guided step as published code does it: both halves of CFG in one batch with the graph."""
    energy = kinds.kinds(core)["forward"][0].energy
    context = torch.cat([conds[1][0][0], conds[0][0][0]])

    def guided(x: Tensor, sigma: Tensor, context: Tensor, attention: dict) -> Tensor:
        x = x.detach().requires_grad_()
        halves = model.model.apply_model(
            torch.cat([x, x]), sigma.expand(2), c_crossattn=context, transformer_options=attention
        )
        uncond, cond = halves.chunk(2)
        x0 = uncond + kinds.CFG * (cond - uncond)
        decoder = decode.decoder("rgb", None, model.model.latent_format)
        value = energy(core.types.Estimate(x0, sigma, decode=decoder)).sum()
        (grad,) = torch.autograd.grad(value, x)
        return (x0 - sigma**2 * grad).detach()

    def run() -> float:
        with torch.inference_mode():
            comfy.model_management.load_models_gpu([model])
        with torch.inference_mode(False), torch.enable_grad(), _trainable(model.model):
            x, own = noise.clone().to(DEVICE), context.clone().to(DEVICE)
            levels = sigmas.clone().to(DEVICE)
            _synchronise()
            began = time.perf_counter()
            for sigma in levels[:-1]:
                guided(x * sigma, sigma[None], own, {"optimized_attention_override": _sdpa})
            _synchronise()
            return (time.perf_counter() - began) / (len(levels) - 1)

    return run


def _released(model: nn.Module, reference: Callable[[], float]) -> Callable[[], float]:
    """The reference with the checkpoints that the released code of universal guidance has.

    Its configuration sets use_checkpoint: residual and transformer blocks run again in the backward
    pass, and there the gradients of their weights are computed too, since nobody froze them.
    """

    def run() -> float:
        with contextlib.ExitStack() as stack, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # ComfyUI's checkpoint is of old times
            for block in model.modules():
                if isinstance(block, ResBlock):
                    stack.callback(setattr, block, "use_checkpoint", block.use_checkpoint)
                    block.use_checkpoint = True
                elif isinstance(block, BasicTransformerBlock):
                    stack.callback(delattr, block, "forward")
                    block.forward = _again(block, block.forward)
            return reference()

    return run


def _again(block: nn.Module, forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def checkpointed(x: Tensor, context: Tensor, transformer_options: dict) -> Tensor:
        whole = lambda x, context: forward(x, context, transformer_options)
        return checkpoint(whole, (x, context), block.parameters(), True)

    return checkpointed


def _sdpa(attention: Any, *arguments: Any, **options: Any) -> Tensor:
    return comfy.ldm.modules.attention.attention_pytorch(*arguments, **options)


@contextlib.contextmanager
def _trainable(model: nn.Module) -> Iterator[None]:
    """Weights that require grad, as they are where nobody froze them."""
    view = importlib.import_module(f"{PACK}.nodes.host.autograd.weights").view
    kept = []
    for module in model.modules():
        for name, weight in module._parameters.items():
            if weight is not None and weight.is_floating_point():
                kept.append((module, name, weight))
                module._parameters[name] = nn.Parameter(view(weight))
    try:
        yield
    finally:
        for module, name, weight in kept:
            module._parameters[name] = weight


def _synchronise() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
