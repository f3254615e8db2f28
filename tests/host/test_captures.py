"""Attention maps and features, read from every model family, whatever else a workflow does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import comfy.model_management
import pytest
import torch
from energy_guidance.guidance_core.attention.maps import centroid, soft_masks
from energy_guidance.guidance_core.captures import Attention, Features
from energy_guidance.guidance_core.rules.backward import Backward
from energy_guidance.guidance_core.schedules import Constant, PercentWindow
from energy_guidance.nodes.host import guide, networks, shapes
from energy_guidance.nodes.host.autograd import memory
from energy_guidance.nodes.host.reading.layouts import layout_of
from energy_guidance.tests.host import probe, tiny

pytestmark = pytest.mark.once

WORDS, WHOLE = Attention((1, 4), "all"), Attention((), "all")
HEADS = Attention((1, 4), "all", "each")
WIDE = {"channels": 16, "width": 48, "pooled": 32}
FAMILIES = {
    "SD 1.5": (tiny.unet, {}),
    "SDXL": (tiny.sdxl, {"pooled": 32}),
    "SD 3": (tiny.sd3, WIDE),
    "Flux": (tiny.flux, WIDE),
}
EACH = pytest.mark.parametrize("family", FAMILIES)


@dataclass(frozen=True)
class Looking:
    """A rule that keeps what it can see."""

    captures: frozenset
    seen: Any = print
    strength: Any = field(default_factory=Constant)
    through_model: ClassVar[bool] = False

    def __call__(self, denoise, x, sigma, run):
        estimate = denoise(x, sigma)
        self.seen(dict(estimate.captures))
        return estimate


def looked(model, *requests, rows=None, **options):
    seen = []
    with torch.inference_mode():
        guided = guide.apply(model, [Looking(frozenset(requests), seen.append)])
        tiny.sample(guided, **{"steps": 1, "cfg": 1.0, **options})
    assert len(seen) == options.get("steps", 1)
    return [seen[0][request] for request in requests]


@dataclass(frozen=True)
class Leftness:
    """A smooth function of captures alone."""

    captures: frozenset
    networks: tuple = ()
    reads_image: ClassVar[bool] = False

    def __call__(self, estimate):
        # Means in float64: where a slope is small, rounding of the mean would hide it.
        parts = [part.double() for one in self.captures for part in estimate.capture(one)]
        ramps = [torch.linspace(-1, 1, part.shape[-1]).cos() for part in parts]
        values = [(part * ramp).square() for part, ramp in zip(parts, ramps, strict=True)]
        return sum(value.flatten(1).mean(1) for value in values)


def slopes(model, *requests, **options):
    records = []
    with torch.inference_mode():
        rule = probe.Slopes(Leftness(frozenset(requests)))
        guided = guide.apply(model, [rule], trace=records.append)
        tiny.sample(guided, **{"steps": 1, "cfg": 1.0, **options})
    return records


@EACH
def test_maps_have_the_latents_aspect_and_rows_of_the_whole_context_sum_to_at_most_one(family):
    make, options = FAMILIES[family]
    start = torch.zeros(2, options.get("channels", 4), 8, 12)
    words, whole = looked(make(), WORDS, WHOLE, latent=start, **options)
    for some, every in zip(words, whole, strict=True):
        assert every.shape[:2] == (2, 7)
        assert every.shape[2] * 3 == every.shape[3] * 2
        assert torch.equal(some, every[:, [1, 4]])
        total = every.sum(1)
        if family.startswith("SD 1") or family == "SDXL":
            torch.testing.assert_close(total, torch.ones_like(total))
        else:
            assert ((total > 0) & (total < 1)).all()


@EACH
def test_slope_through_captures_is_that_of_finite_differences(family):
    make, options = FAMILIES[family]
    for request in (WORDS, HEADS, Features("all")):
        for record in slopes(make(), request, **options):
            probe.agree(record)


@EACH
def test_each_head_is_read_by_itself_and_beside_their_mean(family):
    make, options = FAMILIES[family]
    start = torch.zeros(2, options.get("channels", 4), 8, 12)
    model = make()
    (alone,) = looked(model, WORDS, latent=start, **options)
    mean, each, whole = looked(
        model, WORDS, HEADS, Attention((), "all", "each"), latent=start, **options
    )
    for once, maps, heads, every in zip(alone, mean, each, whole, strict=True):
        torch.testing.assert_close(maps, once, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(heads.mean(2), once, rtol=1e-5, atol=1e-7)
        assert heads.shape == (*once.shape[:2], heads.shape[2], *once.shape[2:])
        # The small SDXL has one head only.
        assert (heads.shape[2] == 1) == (family == "SDXL")
        assert family == "SDXL" or heads.std(2).min() > 0
        assert torch.equal(heads, every[:, [1, 4]])


def test_the_maps_of_each_head_are_its_own_softmax():
    """From the queries and keys of a U-Net's block, head by head."""
    model, raw = tiny.unet(), {}
    network = model.get_model_object("diffusion_model")
    block = layout_of(network).attention["middle.0.0"].attn2
    keep = lambda name: lambda layer, args, out: raw.update({name: out.clone()})
    handles = [block.to_q.register_forward_hook(keep("q"))]
    handles.append(block.to_k.register_forward_hook(keep("k")))
    (each,) = looked(model, Attention((1, 4), ("middle.0.0",), "each"))
    for handle in handles:
        handle.remove()
    size = raw["q"].shape[2] // block.heads
    for head in range(block.heads):
        q, k = (raw[name][0, :, head * size : (head + 1) * size] for name in ("q", "k"))
        softmax = (q @ k.T / size**0.5).softmax(1)[:, [1, 4]]
        torch.testing.assert_close(each[0][0, :, head].flatten(1), softmax.T)


@EACH
@pytest.mark.everywhere
def test_features_are_pictures(family):
    make, options = FAMILIES[family]
    start = torch.zeros(1, options.get("channels", 4), 8, 12)
    (values,) = looked(make(), Features("all"), latent=start, **options)
    for value in values:
        assert value.ndim == 4
        assert value.shape[2] * 3 == value.shape[3] * 2


@pytest.mark.parametrize(
    ("family", "image_tokens"),
    [
        ("SD 3", {"joint.0": lambda out: out[1], "joint.1": lambda out: out[1]}),
        ("Flux", {"double.0": lambda out: out[0], "single.0": lambda out: out[:, 7:]}),
    ],
)
def test_features_of_joint_attention_are_the_image_tokens_row_by_row(family, image_tokens):
    make, options = FAMILIES[family]
    model, raw = make(), {}
    blocks = layout_of(model.get_model_object("diffusion_model")).features
    handles = [
        blocks[name].register_forward_hook(
            lambda block, args, out, name=name: raw.update({name: image_tokens[name](out).clone()})
        )
        for name in image_tokens
    ]
    start = torch.zeros(1, options["channels"], 8, 12)
    (values,) = looked(model, Features("all"), latent=start, **options)
    for handle in handles:
        handle.remove()
    for name, value in zip(image_tokens, values, strict=True):
        assert torch.equal(value.flatten(2).movedim(1, 2), raw[name])


@EACH
@pytest.mark.everywhere
def test_recomputed_blocks_give_the_same_gradient(family, monkeypatch):
    make, options = FAMILIES[family]
    model, request = make(), Attention((1, 4))
    whole = slopes(model, request, **options)
    monkeypatch.setattr(memory, "is_short_of", lambda needed, device: needed > 0)
    for again, once in zip(slopes(model, request, **options), whole, strict=True):
        torch.testing.assert_close(again.terms["grad"], once.terms["grad"], rtol=1e-4, atol=1e-7)


@pytest.fixture(scope="module")
def model():
    return tiny.unet()


def hooks_of(model):
    modules = list(model.model.modules())
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)


def test_only_the_rows_of_the_first_positive_prompt_are_read(model):
    (alone,) = looked(model, WHOLE, positive=tiny.cond(1), batch=2)
    (both,) = looked(model, WHOLE, positive=tiny.cond(1) + tiny.cond(5), batch=2)
    with_cfg = looked(model, WHOLE, positive=tiny.cond(1), batch=2, cfg=4.0)[0]
    for one, two, three in zip(alone, both, with_cfg, strict=True):
        torch.testing.assert_close(two, one)
        torch.testing.assert_close(three, one)


def test_prompts_of_another_length_in_the_same_evaluation_change_nothing(model):
    with torch.inference_mode():
        longer = [[torch.randn(1, 14, 32, generator=torch.Generator().manual_seed(9)), {}]]
    (alone,) = looked(model, WHOLE)
    (batched,) = looked(model, WHOLE, negative=longer, cfg=4.0)
    for one, two in zip(alone, batched, strict=True):
        assert two.shape == one.shape
        torch.testing.assert_close(two, one)


def test_a_prompt_out_of_its_time_makes_way_for_the_next(model):
    early = tiny.cond(1, start_percent=0.0, end_percent=0.5)
    late = tiny.cond(5, start_percent=0.5, end_percent=1.0)
    (first,) = looked(model, WHOLE, positive=late + early)
    (expected,) = looked(model, WHOLE, positive=tiny.cond(1))
    torch.testing.assert_close(first, expected)


def test_regional_masks_are_read_whole_and_areas_are_refused(model):
    mask = torch.zeros(1, 64, 64)
    mask[..., :32] = 1
    (masked,) = looked(model, WHOLE, positive=tiny.cond(1, mask=mask, mask_strength=1.0))
    (plain,) = looked(model, WHOLE)
    torch.testing.assert_close(masked, plain)
    area = tiny.cond(3, area=(4, 4, 0, 2), strength=1.0)
    (second,) = looked(model, WHOLE, positive=area + tiny.cond(1))
    torch.testing.assert_close(second, plain)
    with pytest.raises(ValueError, match="every positive prompt that it reads has an area"):
        looked(model, WHOLE, positive=area)


@pytest.mark.everywhere
def test_another_packs_attention_goes_on_and_maps_are_those_of_the_host(model):
    called = []

    def replaced(q, k, v, extra):
        called.append(extra["block"])
        return torch.zeros_like(q)

    other = model.clone()
    other.set_model_attn2_replace(replaced, "output", 0)
    for record in slopes(other, WORDS):
        probe.agree(record)
    assert called
    first = Attention((1,), ("input.1.0",))
    torch.testing.assert_close(looked(other, first)[0][0], looked(model, first)[0][0])


def test_a_lora_on_the_keys_changes_the_maps(model):
    weight = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    with torch.inference_mode():
        patched = model.clone()
        shape = model.model.state_dict()[weight].shape
        patched.add_patches({weight: ("diff", (torch.randn(shape),))}, 0.5)
    first = Attention((1,), ("input.1.0",))
    plain = looked(model, first)[0][0]
    assert not torch.allclose(looked(patched, first)[0][0], plain)
    for record in slopes(patched, first):
        probe.agree(record)
    assert torch.equal(looked(model, first)[0][0], plain)


@pytest.mark.everywhere
def test_an_attention_override_of_another_pack_is_called_too():
    called = []

    def override(kernel, *args, **kwargs):
        called.append(1)
        return kernel(*args, **kwargs)

    make, options = FAMILIES["Flux"]
    model = make()
    plain = looked(model, WORDS, **options)[0]
    model.model_options["transformer_options"]["optimized_attention_override"] = override
    for one, two in zip(plain, looked(model, WORDS, **options)[0], strict=True):
        torch.testing.assert_close(one, two)
    assert called


@pytest.mark.everywhere
@pytest.mark.parametrize(
    "error", [None, ValueError("broken"), comfy.model_management.InterruptProcessingException()]
)
def test_nothing_stays_behind(model, error):
    before = hooks_of(model)

    def seen(captures):
        if error is not None:
            raise error

    def run():
        with torch.inference_mode():
            guided = guide.apply(model, [Looking(frozenset({WORDS, Features("all")}), seen)])
            tiny.sample(guided, steps=2)

    if error is None:
        run()
    else:
        with pytest.raises(type(error)):
            run()
    assert hooks_of(model) == before


def test_nothing_stays_behind_an_error_inside_the_model(model):
    before = hooks_of(model)
    other = model.clone()

    def broken(q, k, v, extra):
        raise RuntimeError("broken inside")

    other.set_model_attn2_replace(broken, "output", 0)
    with pytest.raises(RuntimeError, match="broken inside"):
        slopes(other, WORDS)
    assert hooks_of(model) == before


def test_outside_the_window_of_its_energy_nothing_is_read(model):
    seen = []
    with torch.inference_mode():
        rule = Looking(frozenset({WORDS}), seen.append, PercentWindow(0.5, 1.0))
        idle = Looking(frozenset(), lambda captures: None)
        tiny.sample(guide.apply(model, [rule, idle]), steps=2)
    assert [len(captures) for captures in seen] == [0, 1]


@pytest.mark.parametrize(
    ("make", "request_", "words"),
    [
        (tiny.unet, Attention((1,), ("output.9.0",)), "no layer output.9.0: .*input.1.0"),
        (tiny.unet, Features(("double.0",)), "no layer double.0"),
        (tiny.flux, Attention((1,), ("joint.0",)), "no layer joint.0: .*double.0, single.0"),
    ],
)
def test_unknown_layers_are_refused_at_once(make, request_, words):
    with pytest.raises(ValueError, match=words):
        guide.apply(make(), [Looking(frozenset({request_}))])


def test_a_network_without_a_known_place_for_text_is_refused():
    with pytest.raises(ValueError, match=r"can be read \(U-Nets .*, FLUX.1, .*\), got Linear"):
        layout_of(torch.nn.Linear(1, 1))


def test_words_that_the_prompt_does_not_have_are_refused_before_sampling(model):
    with pytest.raises(ValueError, match="a word stands at position 7, the positive prompt has 7"):
        looked(model, Attention((7,)))


def test_a_rule_that_does_not_go_through_the_model_is_refused(model):
    rule = Backward(Leftness(frozenset({WORDS})), PercentWindow(0.9, 1.0))
    with pytest.raises(ValueError, match=r"Backward works at .* its energy reads attention"):
        guide.apply(model, [rule])


class Probabilities:
    """A diffusers attention processor that keeps what its own layers attend to."""

    def __init__(self, kept):
        self.kept = kept

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **kwargs):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        parts = [attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)]
        q, k, v = map(attn.head_to_batch_dim, parts)
        looks = attn.get_attention_scores(q, k)
        if encoder_hidden_states is not None:
            self.kept.append(looks.unflatten(0, (-1, attn.heads)).mean(1))
        return attn.to_out[0](attn.batch_to_head_dim(looks @ v))


def test_colours_fill_their_objects_in_the_default_layer_of_shapes():
    request = Attention((3,))
    with torch.inference_mode():
        model, clip, vae = shapes.load()
        cond, empty = (
            clip.encode_from_tokens_scheduled(clip.tokenize(text))
            for text in ("a big red circle", "")
        )
        seen = []
        guided = guide.apply(model, [Looking(frozenset({request}), seen.append)])
        options = {"positive": cond, "negative": empty, "size": 16}
        latent = tiny.sample(guided, steps=20, cfg=4.0, **options)
        picture = vae.decode(latent)[0]
    known = layout_of(model.get_model_object("diffusion_model"))
    assert known.layers(request) == ("output.2.0",)
    assert known.layers(Features()) == ("output.2", "output.3")
    red = ((picture - torch.tensor([220, 50, 47]) / 255).square().sum(-1) < 0.1).float()
    assert red.sum() > 500
    (maps,) = seen[10][request]
    wanted = centroid(red[None, None])[0, 0]
    assert (centroid(soft_masks(maps.cpu()))[0, 0] - wanted).norm() < 0.06


def test_maps_are_those_of_diffusers():
    diffusers = pytest.importorskip("diffusers")
    kept, seen = [], []

    class Watching(Looking):
        def __call__(self, denoise, x, sigma, run):
            seen[:] = [x, sigma]
            return super().__call__(denoise, x, sigma, run)

    with torch.inference_mode():
        host, clip, _ = shapes.load()
        cond, empty = (
            clip.encode_from_tokens_scheduled(clip.tokenize(text))
            for text in ("a big red circle and a small white square", "")
        )
        guided = guide.apply(host, [Watching(frozenset({WHOLE}), seen.append)])
        options = {"positive": cond, "negative": empty, "batch": 2, "size": 16}
        tiny.sample(guided, steps=1, cfg=4.0, **options)
        x, sigma, captures = seen
        unet = diffusers.UNet2DConditionModel.from_pretrained(networks.ASSETS / "unet").float()
        unet.set_attn_processor(Probabilities(kept))
        steps = host.get_model_object("model_sampling").timestep(sigma)
        scaled = x / (1 + sigma.view(-1, 1, 1, 1) ** 2).sqrt()
        unet(scaled, steps, cond[0][0].expand(2, -1, -1))
    assert len(captures[WHOLE]) == len(kept)
    for ours, theirs in zip(captures[WHOLE], kept, strict=True):
        assert (ours.flatten(2).transpose(1, 2) - theirs).abs().max() < 1e-4
