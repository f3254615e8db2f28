"""What a run made is gone when it ends, without a collection of garbage.

A MODEL that waits for one is taken for leaked by the host, which then collects garbage whenever it
loads anything; and on a GPU what a step has read would stay beside what the next one reads.
"""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections import Counter

import comfy.model_management
import comfy.samplers
import pytest
import torch
from energy_guidance.guidance_core.captures import Attention, Features
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant, PercentWindow
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.host.injecting.injected import injected
from energy_guidance.nodes.host.recurrence import recurrent_model
from energy_guidance.nodes.host.restart import restarting_model
from energy_guidance.nodes.host.run import KEY
from energy_guidance.tests.host import families, probe, test_injection, test_joint_injection, tiny
from energy_guidance.tests.host.test_captures import Leftness
from energy_guidance.tests.host.test_hspace import edited
from energy_guidance.tests.host.test_joint_injection import TOKEN, cond
from energy_guidance.tests.host.test_restart import WINDOW, Wave

U_NET, JOINT, CROSS = "SDXL", "FLUX.1", "Wan 2.1"
# A sampler under a loop holds itself, and nothing of a run.
SAMPLER = Counter(Loop=1, Looped=1)
READ = frozenset({Attention((1, 2), "all"), Features("all")})
ALWAYS = PercentWindow(0.0, 1.0, value=0.5)


def read(model, family):
    return guide.apply(model, [Forward(Leftness(READ), Constant(0.5))])


def seen_from_two_points(model, family):
    return guide.apply(model, [probe.Slopes(step=0.1)])


def recurrent(model, family):
    return recurrent_model(read(model, family), 2)


def tried_again(model, family):
    return restarting_model(guide.apply(model, [Forward(Wave(0.0), ALWAYS)]), 3, WINDOW)


def exchanged(model, family):
    there = test_injection if family == U_NET else test_joint_injection
    edit = there.injection(model if family == U_NET else family)
    return read(injected(model, edit), family)


def shifted(model, family):
    return edited(model)


WAYS = [
    *((way, family) for way in (read, exchanged) for family in (U_NET, JOINT, CROSS)),
    *((way, U_NET) for way in (seen_from_two_points, recurrent, tried_again, shifted)),
]


@pytest.mark.parametrize(("way", "family"), WAYS, ids=lambda part: getattr(part, "__name__", part))
def test_nothing_that_a_run_made_waits_for_the_garbage_collection(way, family):
    model = tiny.unet() if family == U_NET else families.model(family)
    sampled(way(model, family), family)  # what is made once and kept
    with without_collection():
        before = census()
        clone = way(model, family)
        sampled(clone, family)
        there = weakref.ref(clone)
        del clone
        assert there() is None
        assert census() - before - SAMPLER == Counter()
    loaded = comfy.model_management.current_loaded_models
    assert not any(one.is_dead() for one in loaded if one.real_model() is model.model)


def test_a_run_that_fails_leaves_nothing_either():
    model = tiny.unet()

    def stop(step, x0, x, total):
        raise comfy.model_management.InterruptProcessingException

    def once():
        clone = read(model, U_NET)
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            sampled(clone, U_NET, callback=stop)
        return weakref.ref(clone)

    once()
    with without_collection():
        before = census()
        there = once()
        assert there() is None
        assert census() - before == Counter()


def test_options_that_a_pack_kept_are_those_of_the_stock_sampler_after_the_run(monkeypatch):
    model, kept = tiny.unet(), []
    clone = read(model, U_NET)
    keep = lambda args: kept.append(args) or args["denoised"]
    clone.set_model_sampler_post_cfg_function(keep, disable_cfg1_optimization=True)
    sampled(clone, U_NET)
    there = kept[0]
    conds, options = [there["cond"], there["uncond"]], there["model_options"]
    monkeypatch.setattr(model.model, "current_patcher", clone)
    with torch.inference_mode():
        latent = (there["model"], conds, there["input"], there["sigma"])
        again = comfy.samplers.calc_cond_batch(*latent, options)
        stock = comfy.samplers.calc_cond_batch(*latent, {"transformer_options": {}})
    assert options["transformer_options"][KEY] is not None
    for one, two in zip(again, stock, strict=True):
        assert torch.equal(one, two)


def sampled(model, family, **options):
    """Three steps above CFG 1, of a prompt that edits know."""
    if family != U_NET:
        options = {**families.FAMILIES[family].options(), **options}
        options["positive"] = cond(family, 1, TOKEN)
    else:
        options["positive"] = test_injection.tagged()
    tiny.sample(model, **{"steps": 3, "cfg": 2.0, **options})


@contextlib.contextmanager
def without_collection():
    """Objects die inside when nothing holds them, and not otherwise."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def census():
    """How many tensors there are, and how many objects of the pack's classes, by class."""
    kinds = map(type, gc.get_objects())
    return Counter(
        kind.__name__
        for kind in kinds
        if issubclass(kind, torch.Tensor) or _is_ours(str(getattr(kind, "__module__", "")))
    )


def _is_ours(module):
    parts = ("energy_guidance.nodes", "energy_guidance.guidance_core")
    return module.startswith(parts)
