"""Energies of attention in a real run, on the embedded model and through their nodes."""

from __future__ import annotations

import pytest
import torch
from energy_guidance.guidance_core.attention.references import Reference
from energy_guidance.guidance_core.attention.words import Word
from energy_guidance.guidance_core.captures import Attention, Features
from energy_guidance.guidance_core.energies.appearance import Appearance
from energy_guidance.guidance_core.energies.attention_keep import AttentionKeep
from energy_guidance.guidance_core.energies.binding import Binding
from energy_guidance.guidance_core.energies.box import Box
from energy_guidance.guidance_core.energies.feature_keep import FeatureKeep
from energy_guidance.guidance_core.energies.position import Position
from energy_guidance.guidance_core.energies.presence import Presence
from energy_guidance.guidance_core.energies.shape import Shape
from energy_guidance.guidance_core.energies.size import Size
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.latent_update import LatentUpdate
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.guidance_core.shapes.scenes import BACKGROUND
from energy_guidance.nodes.energies.box import EnergyBox
from energy_guidance.nodes.energies.position import EnergyPosition
from energy_guidance.nodes.energies.presence import EnergyPresence
from energy_guidance.nodes.host import guide, samplers, shapes
from energy_guidance.nodes.rules.latent_update import RuleLatentUpdate
from energy_guidance.tests.host import probe, tiny
from energy_guidance.tests.host.test_captures import FAMILIES, Looking

pytestmark = pytest.mark.once

WORDS = Word("red", (2,)), Word("circle", (3, 4))
TARGET = (0.3, 0.7)


def reference(model, options):
    seen = []
    requests = Attention(), Features()
    with torch.inference_mode():
        look = Looking(frozenset(requests), seen.append)
        tiny.sample(guide.apply(model, [look]), steps=1, **{"cfg": 1.0, "noise_seed": 5, **options})
    return Reference({10.0: seen[0]}, (8, 8))


def energies(there):
    outline = torch.zeros(8, 8)
    outline[2:5, 1:6] = 1
    return [
        Position(WORDS, TARGET),
        Size(WORDS, 0.02),
        Shape(WORDS, outline),
        Appearance(WORDS, there),
        Box(WORDS, (0.1, 0.1, 0.6, 0.6)),
        Box(WORDS, (0.1, 0.1, 0.6, 0.6), "boxdiff"),
        Presence(WORDS),
        Binding(WORDS, (Word("small", (1,)),)),
        AttentionKeep(there),
        FeatureKeep(there),
    ]


@pytest.mark.everywhere
@pytest.mark.parametrize("family", FAMILIES)
def test_every_energy_has_a_slope_through_every_family(family):
    make, options = FAMILIES[family]
    model = make()
    for energy in energies(reference(model, options)):
        records = []
        with torch.inference_mode():
            rule = Forward(energy, PercentWindow(value=0.5))
            guided = guide.apply(model, [rule], trace=records.append)
            result = tiny.sample(guided, steps=1, cfg=1.0, **options)
        assert torch.isfinite(result).all()
        assert (records[0].grad_norm > 0).all(), type(energy).__name__


@pytest.fixture(scope="module")
def parts():
    with torch.inference_mode():
        return shapes.load()


def painted(parts, *rules_, steps=8, batch=4):
    """Pictures of a big red circle, and how far what they show lies from the target, mean."""
    model, clip, vae = parts
    texts = "a big red circle", ""
    with torch.inference_mode():
        conds = [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in texts]
        guided = guide.apply(model, rules_) if rules_ else model
        latent = {"samples": torch.zeros(batch, 4, 16, 16)}
        plan = samplers.plan_of(guided, *conds, steps, 4.0, "euler", "normal")
        pictures = vae.decode(samplers.sample(plan, "euler", 11, latent)["samples"])
    behind = torch.tensor(BACKGROUND) / 255
    shown = ((pictures - behind).square().sum(-1) > 0.1).double()
    places = (torch.arange(128) + 0.5).double() / 128
    total = shown.sum((1, 2)).clamp_min(1)
    x = (shown.sum(1) * places).sum(1) / total - TARGET[0]
    y = (shown.sum(2) * places).sum(1) / total - TARGET[1]
    return float((x.square() + y.square()).sqrt().mean())


def test_an_object_moves_to_its_place(parts):
    plain = painted(parts)
    energy = Position((Word("big red circle", (2, 3, 4)),), TARGET)
    forward = Forward(energy, PercentWindow(0.0, 0.5, value=2.0))
    assert painted(parts, forward) < 0.6 * plain
    update = LatentUpdate(energy, PercentWindow(0.0, 0.5, value=0.5))
    assert painted(parts, update) < 0.8 * plain


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 16}, "a latent of 8 x 8, this run has 16 x 16"),
        ({"positive": [[torch.ones(1, 14, 32), {}]]}, "a prompt of 7 places, this run's has 14"),
    ],
)
def test_a_reference_of_another_size_or_prompt_is_refused_before_sampling(changes, words):
    model = tiny.unet()
    rule = Forward(AttentionKeep(reference(model, {})), PercentWindow(0.9, 1.0))
    records = []
    with torch.inference_mode(), pytest.raises(ValueError, match=words):
        tiny.sample(guide.apply(model, [rule], trace=records.append), **changes)
    assert records == []


@pytest.mark.everywhere
def test_strength_zero_is_the_stock_run():
    model = tiny.unet()
    with torch.inference_mode():
        energy = Position(WORDS, TARGET)
        guided = guide.apply(model, [LatentUpdate(energy, PercentWindow(value=0.0))])
        assert torch.equal(tiny.sample(guided, steps=2), tiny.sample(model, steps=2))


def test_latent_update_steers_every_kind_of_sampler():
    model = tiny.unet()
    for sampler in ("euler", "heun", "dpmpp_2m"):
        with torch.inference_mode():
            rule = LatentUpdate(Position(WORDS, TARGET), PercentWindow(value=0.5), iterations=2)
            guided = guide.apply(model, [rule])
            result = tiny.sample(guided, steps=3, sampler=sampler)
        assert torch.isfinite(result).all()
        assert not torch.equal(result, tiny.sample(model, steps=3, sampler=sampler))


def test_an_energy_of_attention_and_one_of_the_latent_share_a_stack():
    model = tiny.unet()
    with torch.inference_mode():
        rules_ = [
            Forward(probe.Nearness(), PercentWindow(value=0.5)),
            Forward(Position(WORDS, TARGET), PercentWindow(value=0.5)),
        ]
        assert torch.isfinite(tiny.sample(guide.apply(model, rules_), steps=2)).all()


def built(node, **inputs):
    (output,) = node.execute(**inputs).result
    return output


def test_nodes_build_what_they_say():
    common = {"weight": 1.0, "layers": "default"}
    at = built(EnergyPosition, tokens=WORDS, x=0.3, y=0.7, shift_x=0, shift_y=0, **common)
    assert at == Position(WORDS, TARGET, None, (0, 0))
    box = dict(zip(("left", "top", "right", "bottom"), (0.1, 0.2, 0.5, 0.6), strict=True))
    half = built(EnergyBox, tokens=WORDS, **box, loss="boxdiff", weight=0.5, layers="all")
    assert half.parts == ((0.5, Box(WORDS, (0.1, 0.2, 0.5, 0.6), "boxdiff", "all")),)
    named = {"weight": 1.0, "layers": "output.3.0, output.4.0"}
    assert built(EnergyPresence, tokens=WORDS, **named).layers == (
        "output.3.0",
        "output.4.0",
    )
    assert EnergyBox.validate_inputs(left=0.5, right=0.2).startswith("the box is empty")
    assert EnergyBox.validate_inputs(**box) is True
    rule = built(
        RuleLatentUpdate,
        energy=at,
        strength=0.5,
        scale="relative",
        iterations=2,
        stop=0.1,
        every=1,
    )
    assert (rule.energy, rule.iterations, rule.stop) == (at, 2, 0.1)
