"""Operations and saved memory of steps under image energies, at true sizes, in a real ComfyUI.

The host's own sampling runs, with the rules, decoders and guide networks of the pack, on fake
tensors: they have shapes and no memory, so that PyTorch's counter sees every product that a real
step makes, on any machine. Attention is counted as its fused kernel runs, which computes the
weights of the attention a second time in the backward pass.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import open_clip
import timm
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from bench.cost import comfyui as host
from bench.cost.live import Live
from bench.cost.operations import counted
from bench.gpu_check.cases import CASES as MODELS

comfy = host.comfy
CFG, SIGMA = 7.0, 5.0
GUIDES = {"clip": "ViT-B-32", "resnet": "resnet50"}
CASES = tuple(f"{model}-{guide}" for guide in GUIDES for model in ("sd15", "sdxl"))
DEPTH = 0.5  # of the truncated rules
# Rule, decoder and settings; `auto` is the family's tiny decoder, which it takes where it is there.
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    **{f"forward/{decoder}": ("forward", decoder, {}) for decoder in ("auto", "fitted", "vae")},
    "forward/rgb": ("forward", "rgb", {}),
    "forward/auto, depth 0.5": ("forward", "auto", {"depth": DEPTH}),
    "forward/fitted, depth 0.5": ("forward", "fitted", {"depth": DEPTH}),
    **{f"manifold/{decoder}": ("manifold", decoder, {}) for decoder in ("auto", "fitted", "vae")},
    "backward/auto": ("backward", "auto", {}),
    "posterior/auto": ("posterior", "auto", {}),
    "unified/auto": ("unified", "auto", {}),
    "latent update/auto": ("latent_update", "auto", {}),
}
VAE = {
    "double_z": True,
    "z_channels": 4,
    "resolution": 256,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 128,
    "ch_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_resolutions": [],
    "dropout": 0.0,
}
ATEN = torch.ops.aten


def _part(name: str) -> Any:
    return importlib.import_module(f"{host.PACK}.{name}")


class _Answered(TorchDispatchMode):
    """Answers what a step asks of its numbers: every sample has a slope, and all is finite."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is ATEN._local_scalar_dense.default and isinstance(args[0], FakeTensor):
            return args[0].dtype == torch.bool or (1.0 if args[0].is_floating_point() else 1)
        return func(*args, **(kwargs or {}))


class _Unloaded(comfy.model_patcher.ModelPatcher):  # type: ignore[misc]
    """A patcher whose weights stay where they are: there is nothing in them to move."""

    def clone(self, *args: Any, **options: Any) -> Any:
        """A clone that is one too."""
        twin = super().clone(*args, **options)
        twin.__class__ = _Unloaded
        return twin

    def load(self, *args: Any, **options: Any) -> None:
        """Leave the weights alone."""

    def partially_load(self, *args: Any, **options: Any) -> int:
        """Bytes that were loaded."""
        return 0

    def partially_unload(self, *args: Any, **options: Any) -> int:
        """Bytes that were freed."""
        return 0

    def detach(self, *args: Any, **options: Any) -> Any:
        """The model."""
        return self.model


@dataclass
class _Shared:
    """An energy that a run shares instead of copying it, as it does with networks."""

    energy: Any

    def __call__(self, estimate: Any) -> Tensor:
        return self.energy(estimate)  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self


@contextlib.contextmanager
def faked(*, roomy: bool = True) -> Iterator[None]:
    """Tensors without memory and fused attention, on a device with room for all, or for nothing."""
    management, attention = comfy.model_management, comfy.ldm.modules.attention
    free = 1e15 if roomy else 0.0
    answers = {
        (management, "get_free_memory"): lambda device=None, both=False: (
            (free,) * 2 if both else free
        ),
        (management, "pytorch_attention_enabled_vae"): lambda: True,
        (attention, "optimized_attention"): attention.attention_pytorch,
    }
    with contextlib.ExitStack() as stack:
        for (module, name), answer in answers.items():
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, answer)
        stack.enter_context(torch.random.fork_rng())
        stack.enter_context(_Answered())
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        yield


def patched(network: nn.Module) -> Any:
    """A network in the host's hands, where the pack finds it."""
    network = network.eval().requires_grad_(False)
    own = _Unloaded(network, load_device=host.DEVICE, offload_device=host.DEVICE)
    setattr(network, _part("nodes.host.networks").PATCHER, own)
    return own


class Bench:
    """One model with its decoders, and one guide network.

    Arguments:
        case: one of `CASES`.
        scale: of the latent's sides.
    """

    def __init__(self, case: str, scale: float = 1.0) -> None:
        key, guide = case.split("-")
        self.model = next(model for model in MODELS if model.key == key)
        self.latent = (1, 4, *(int(side * scale) for side in self.model.latent[1:]))
        with faked():
            self.patcher = self._patcher()
            self.energy = _Shared(_energy(guide))
            self.decoders = self._decoders(self.patcher.model.latent_format)

    def _patcher(self) -> Any:
        kind = {"sd15": comfy.supported_models.SD15, "sdxl": comfy.supported_models.SDXL}
        settings = {"in_channels": 4, "out_channels": 4, "image_size": 32, "legacy": False}
        settings |= {"use_spatial_transformer": True, "use_temporal_attention": False}
        settings |= {"use_linear_in_transformer": False, "adm_in_channels": None}
        recipe = kind[self.model.key]({**settings, **self.model.settings, **_labels(self.model)})
        recipe.set_inference_dtype(torch.float32, None)
        return patched(recipe.get_model({}, "", device=None))

    def _decoders(self, latent_format: Any) -> dict[str, Any]:
        decode, fitted = _part("nodes.host.decode"), _part("nodes.host.fitted_decoder")
        fast = _part("guidance_core.networks.fast_decoder")
        autoencoder = importlib.import_module("comfy.ldm.models.autoencoder").AutoencoderKL
        vae = patched(autoencoder(ddconfig=VAE, embed_dim=4))
        host_vae = SimpleNamespace(
            first_stage_model=vae.model,
            patcher=vae,
            vae_dtype=torch.float32,
            device=host.DEVICE,
            memory_used_decode=lambda shape, dtype: 1.0,
            process_output=lambda image: (image + 1) / 2,
        )
        taesd = importlib.import_module("comfy.taesd.taesd").TAESD
        tiny = patched(taesd(None, None, latent_channels=4))
        card = fast.Card(type(latent_format).__name__, 4)
        return {
            "vae": decode.VaeDecoder(host_vae, latent_format),
            "auto": decode.TaesdDecoder(tiny.model, tiny),
            "fitted": fitted.FittedDecoder(patched(fast.FastDecoder(card)).model, "fitted"),
            "rgb": decode.RgbDecoder(latent_format),
        }

    def guided(self, rule: str, decoder: str, **settings: Any) -> Any:
        """The MODEL under a rule."""
        module = _part(f"guidance_core.rules.{rule}")
        kind = getattr(module, "".join(word.capitalize() for word in rule.split("_")))
        strength = _part("guidance_core.schedules").Constant(0.5)
        guide = _part("nodes.host.guide")
        guidance = guide.Guidance(
            (kind(self.energy, strength, **settings),), self.decoders[decoder]
        )
        guided = self.patcher.clone()
        guide.attach(guided, guidance)
        return guided

    def step(self, model: Any) -> None:
        """One step of the host's sampling, inside `faked`."""

        def once(denoise: Any, x: Tensor, sigmas: Tensor, extra_args: Any, **rest: Any) -> Tensor:
            denoise(x, sigmas[:1], **extra_args)
            return x

        text = torch.zeros(1, self.model.length, self.model.width)
        pooled = {"pooled_output": torch.zeros(1, self.model.pooled or 8)}
        conds = [[[text, pooled]], [[text, dict(pooled)]]]
        latent = torch.zeros(self.latent)
        sigmas, sampler = torch.tensor([SIGMA, 1.0]), comfy.samplers.KSAMPLER(once)
        comfy.sample.sample_custom(
            *(model, latent, CFG, sampler, sigmas, *conds, latent), disable_pbar=True, seed=0
        )

    def operations(self, model: Any, *, roomy: bool = True) -> int:
        """Operations of a step, on a device with all memory, or with none."""
        with faked(roomy=roomy):
            return counted(lambda: self.step(model))

    def peak(self, model: Any, *, roomy: bool = True) -> int:
        """Bytes of live tensors at the worst moment of a step, beside the weights."""
        with faked(roomy=roomy), Live() as live:
            self.step(model)
        return live.peak

    def weights(self) -> dict[str, int]:
        """MB of weights at 32 bits: of the model, and with tiny decoder and guide network."""
        model = sum(part.numel() for part in self.patcher.model.parameters())
        parts = (self.decoders["auto"].network, self.energy.energy.network)
        guided = model + sum(part.numel() for own in parts for part in own.parameters())
        return {"plain": model * 4 // 2**20, "guided": guided * 4 // 2**20}


def _labels(model: Any) -> dict[str, Any]:
    return {"num_classes": "sequential"} if model.pooled else {}


def _energy(guide: str) -> Any:
    """The energy of a sentence, or of a class."""
    if guide == "clip":
        clip, text = _part("guidance_core.networks.clip"), _part("guidance_core.energies.clip_text")
        network = open_clip.CLIP(**open_clip.get_model_config(GUIDES[guide]))
        own = clip.ClipNetwork(
            network,
            name=GUIDES[guide],
            tokenise=open_clip.get_tokenizer(GUIDES[guide]),
            input_size=224,
            mean=open_clip.OPENAI_DATASET_MEAN,
            std=open_clip.OPENAI_DATASET_STD,
        )
        energy = text.ClipText(patched(own).model, "a red circle", augment=False)
        energy.target  # noqa: B018, encoded once a run, not once a step
        return energy
    classifier = _part("guidance_core.networks.classifier")
    network = timm.create_model(GUIDES[guide])
    own = classifier.ClassifierNetwork(
        network,
        name=GUIDES[guide],
        labels=tuple(map(str, range(network.num_classes))),
        multi_label=False,
        input_size=224,
        mean=network.default_cfg["mean"],
        std=network.default_cfg["std"],
    )
    label = _part("guidance_core.energies.classifier").ClassLabel
    return label(patched(own).model, "1")


def measured(case: str, tick: Callable[[str], object] = lambda name: None) -> dict[str, Any]:
    """Operations of a step beside a plain one, and peaks of live tensors beside the weights."""
    bench = Bench(case)
    plain, found = bench.operations(bench.patcher), {"plain": 1.0}
    for name, (rule, decoder, settings) in KINDS.items():
        steered = bench.guided(rule, decoder, **settings)
        found[name] = round(bench.operations(steered) / plain, 3)
        tick(name)
    twice = bench.operations(bench.guided("forward", "auto"), roomy=False)
    found["forward/auto, blocks twice"] = round(twice / plain, 3)
    own = {"name": case, "plain_tflop": round(plain / 1e12, 3), "operations": found}
    return own | {"live_mb": _peaks(bench), "weights_mb": bench.weights()}


def _peaks(bench: Bench) -> dict[str, int]:
    """Peaks of live tensors beside the weights, in MB at 32 bits."""
    forward = bench.guided("forward", "auto")
    truncated = bench.guided("forward", "auto", depth=DEPTH)
    wanted = {
        "plain": (bench.patcher, True),
        "forward/auto": (forward, True),
        "forward/auto, depth 0.5": (truncated, True),
        "forward/auto, blocks twice": (forward, False),
        "forward/auto, depth 0.5, blocks twice": (truncated, False),
        "manifold/auto": (bench.guided("manifold", "auto"), True),
    }
    return {
        name: round(bench.peak(model, roomy=roomy) / 2**20)
        for name, (model, roomy) in wanted.items()
    }
