"""What is asked of every family: one function a column of docs/models.md, given its name.

Each returns what it measured, and raises where it does not hold.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import comfy.sample
import torch
from energy_guidance.guidance_core.gradients import through_model
from energy_guidance.guidance_core.rules.backward import Backward
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.latent_update import LatentUpdate
from energy_guidance.guidance_core.rules.manifold import Manifold
from energy_guidance.guidance_core.rules.posterior import Posterior
from energy_guidance.guidance_core.rules.unified import Unified
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.guidance_core.trace import Record
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.host.autograd import memory, recompute
from energy_guidance.tests.host import families, probe, tiny

ENERGY = probe.Nearness(0.3)
RULES = (Forward, Backward, Manifold, Posterior, Unified, LatentUpdate)
ONCE = {Backward: {"steps": 1}, Unified: {"iterations": 1}, LatentUpdate: {"iterations": 1}}
BOUND = 1e-2


@dataclass(frozen=True)
class Slopes:
    """Records the gradient, and how far its slope along a direction is from differences.

    Central differences of fourth order; the distance is relative to the RMS of the slope over all
    directions, since that along one of them may vanish.
    """

    differences: bool = True
    step: float = 3e-3
    energy: Any = ENERGY
    strength: Any = field(default_factory=Constant)
    through_model: ClassVar[bool] = True

    def __call__(self, denoise, x, sigma, run):
        estimate, energy, grad = through_model(self.energy, denoise, x, sigma)
        terms = {"grad": grad}
        if self.differences:
            size = x.square().mean().sqrt()
            direction = run.noise(x, 7) * size
            # The frames of a video are a batch whose samples look at each other: all are summed.
            at = lambda h: self.energy(denoise(x + h * direction, sigma)).double().sum()
            h = self.step
            difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
            error = (grad.double() * direction).sum() - difference
            terms["error"] = error.abs() / (grad.double().norm() * size)
        run.record(Record("Slopes", float(sigma[0]), energy, energy, energy, None, terms))
        return estimate


def sampled(family: str, rules: Any = (), *, cfg: float = 4.0, steps: int = 2, **options: Any):
    """The latent of a run, guided by rules if there are any, and what they recorded."""
    records: list[Any] = []
    asked = families.FAMILIES[family].options(options.pop("batch", 1), options.pop("shape", None))
    with torch.inference_mode():
        model = options.pop("model", None) or families.model(family)
        model = guide.apply(model, list(rules), trace=records.append) if rules else model
        out = tiny.sample(model, steps=steps, cfg=cfg, **{**asked, **options})
        out = out.unbind()[0] if out.is_nested else out
    assert torch.isfinite(out).all(), "the result is not finite"
    return out, records


@functools.lru_cache(maxsize=8)
def unguided(family: str) -> torch.Tensor:
    """The latent of a plain run of one step above CFG 1."""
    return sampled(family, steps=1)[0]


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """Relative distance."""
    return float((a - b).norm() / b.norm())


def slopes(family: str, steps: int = 3, **options: Any) -> float:
    """The worst distance to finite differences over the noise levels of a run."""
    _, records = sampled(family, [Slopes()], steps=steps, cfg=1.0, **options)
    assert len(records) == steps
    assert all(record.terms["grad"].any() for record in records), "the gradient is zero"
    worst = float(max(record.terms["error"] for record in records))
    assert worst <= BOUND, f"off differences by {worst:.1e}"
    return worst


def stock(family: str) -> None:
    """Strength 0 is the stock run, bit for bit."""
    out, records = sampled(family, [rule(ENERGY, Constant(0.0)) for rule in RULES], steps=1)
    assert torch.equal(out, unguided(family))
    assert not records


def gradient(family: str) -> float:
    """The gradient agrees with differences at CFG 1."""
    return slopes(family)


def rules(family: str) -> None:
    """Every rule moves the result above CFG 1 (at CFG 1 the columns beside this one run)."""
    plain = unguided(family)
    for kind in RULES:
        rule = kind(ENERGY, Constant(0.5), **ONCE.get(kind, {}))
        out, records = sampled(family, [rule], steps=1)
        assert records, kind.__name__
        assert all((record.push > 0).all() for record in records), f"{kind.__name__} has no push"
        assert apart(out, plain) > 1e-4, f"{kind.__name__} moves nothing"


def batch(family: str) -> float | str | None:
    """Each sample of a batch is the one that it is alone; frames of a video belong together."""
    if families.FAMILIES[family].is_video:
        return None
    try:
        sampled(family, cfg=1.0, steps=1, batch=2)
    except ValueError:
        return "not in ComfyUI either"
    worst = out_of_its_batch(family, [Forward(ENERGY, Constant(0.5))])
    if worst > 1e-3 and out_of_its_batch(family, []) > 1e-3:
        return "not in ComfyUI either"
    assert worst < 1e-3, f"a sample of the batch is off by {worst:.1e}"
    return worst


def out_of_its_batch(family: str, rules: list[Any]) -> float:
    """How far samples of a batch of two are from themselves alone, relatively."""
    pair = families.FAMILIES[family].options(2)["latent"]
    noise = comfy.sample.prepare_noise(pair, 1)
    both, _ = sampled(family, rules, cfg=1.0, steps=1, batch=2, noise=noise)
    each = (noise[i : i + 1] for i in range(2))
    alone = [sampled(family, rules, cfg=1.0, steps=1, noise=part)[0] for part in each]
    return max(apart(part[None], one) for part, one in zip(both, alone, strict=True))


def sizes(family: str) -> float | None:
    """Latents that are not square, and of one frame and of several."""
    known = families.FAMILIES[family]
    shapes = [known.wide] if known.wide else []
    if len(known.latent) == 4:
        # Families whose latents have several frames are looked at with one, the others with three.
        channels, own, *rest = known.latent
        shapes += [(channels, count, *rest) for count in known.frames if (count > 1) != (own > 1)]
    found = [slopes(family, 1, shape=shape) for shape in shapes]
    return max(found, default=None)


def noisy_start(family: str) -> Any:
    """A latent that is not empty, with silence beside it where the model samples both in one."""
    known = families.FAMILIES[family]
    return known.with_sound(families.draw(9, *known.options()["latent"].shape))


def image_to_image(family: str) -> None:
    """From a latent at a lower noise level."""
    start = noisy_start(family)
    options = {"latent": start, "denoise": 0.6, "cfg": 1.0, "steps": 1}
    _, (record,) = sampled(family, [Forward(ENERGY, Constant(0.5))], **options)
    assert (record.push > 0).all()


def inpainting(family: str) -> str | None:
    """Inside a noise mask: what is outside stays as in the stock run."""
    start = noisy_start(family)
    half = start.shape[-1] // 2
    mask = torch.ones(1, 1, *start.shape[2:])
    mask[..., :half] = 0
    options = {"latent": start, "noise_mask": mask, "cfg": 1.0, "steps": 1}
    try:
        plain, _ = sampled(family, **options)
    except RuntimeError:
        return "not in ComfyUI either"
    still, _ = sampled(family, [Forward(ENERGY, Constant(0.0))], **options)
    assert torch.equal(still, plain), "strength 0 differs inside a mask"
    out, _ = sampled(family, [Forward(ENERGY, Constant(0.5))], **options)
    assert apart(out, plain) > 1e-4, "nothing moves inside a mask"
    torch.testing.assert_close(out[..., :half], plain[..., :half], msg="what is outside moves")
    return None


def short_memory(family: str) -> float:
    """Blocks that are computed twice give the same gradient."""
    assert recompute.blocks_of(families.model(family).model.diffusion_model), "no block is found"
    rule = Slopes(differences=False)
    grads = []
    kept = memory.is_short_of
    for is_short in (False, True):
        memory.is_short_of = lambda needed, device, short=is_short: short and needed > 0
        try:
            _, (record,) = sampled(family, [rule], cfg=1.0, steps=1)
        finally:
            memory.is_short_of = kept
        grads.append(record.terms["grad"])
    found = apart(*grads)
    assert found < 1e-3, f"the gradient is off by {found:.1e}"
    return found


def cast_weights(family: str) -> float:
    """Weights that the host casts layer by layer give the gradient of the same weights in place."""
    known = families.FAMILIES[family]
    stored, plain = known.model(dtype=torch.float16, cast=torch.float32), known.model()
    with torch.inference_mode():
        for kind in ("named_parameters", "named_buffers"):
            given = dict(getattr(stored.model.diffusion_model, kind)())
            for name, tensor in getattr(plain.model.diffusion_model, kind)():
                if tensor.dtype.is_floating_point:
                    tensor.copy_(given[name])
    rule, grads = Slopes(differences=False), []
    for model in (stored, plain):
        _, (record,) = sampled(family, [rule], cfg=1.0, steps=1, model=model)
        grads.append(record.terms["grad"])
    found = apart(*grads)
    assert found < 2e-3, f"the gradient is off by {found:.1e}"
    return found


COLUMNS: tuple[Callable[[str], Any], ...] = (
    stock,
    gradient,
    rules,
    batch,
    sizes,
    image_to_image,
    inpainting,
    short_memory,
    cast_weights,
)
