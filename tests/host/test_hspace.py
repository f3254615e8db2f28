"""h-space in the real host: edits of one encoder pass, directions as plain hooks see them."""

from __future__ import annotations

import json
import os

import comfy.samplers
import folder_paths
import pytest
import torch
from energy_guidance.guidance_core.networks.hspace import TOLD, Direction, Site, load
from energy_guidance.guidance_core.procedures.teaching import Teaching
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.nodes.editing.hspace_direction import HSpaceDirection
from energy_guidance.nodes.editing.hspace_edit import HSpaceEdit
from energy_guidance.nodes.host import (
    guide,
    hspace,
    hspace_training,
    networks,
    samplers,
    shapes,
)
from energy_guidance.nodes.host.hspace_directions import Runs
from energy_guidance.nodes.host.hspace_training import Lesson
from energy_guidance.nodes.host.middle import UNetMiddle
from energy_guidance.nodes.host.run import KEY
from energy_guidance.nodes.loaders.hspace_direction import LoadHSpaceDirection
from energy_guidance.tests.host import tiny
from safetensors.torch import save_file

STEPS = 3
THERE = (networks.ASSETS / "unet" / "config.json").is_file()
needs_shapes = pytest.mark.skipif(
    not THERE and not os.environ.get("CI"), reason="the embedded model is not in assets/shapes"
)


@pytest.fixture(scope="module")
def eps():
    return tiny.unet()


def network(model):
    return model.model.diffusion_model


def site(model):
    return UNetMiddle(network(model)).site


def direction(model, seed=0, scale=1.0):
    """A direction of two levels, a vector for all places."""
    generator = torch.Generator().manual_seed(seed)
    shifts = scale * torch.randn(2, 64, 1, 1, generator=generator)
    return Direction(site(model), (14.0, 0.1), shifts)


def painted(model, **options):
    return tiny.sample(model, STEPS, **options)


def edited(model, strength=1.0, end=1.0, boost=1.0, seed=0):
    return HSpaceEdit.execute(model, direction(model, seed), strength, end, boost).args[0]


def by_hand(model, shift, cfg=4.0, steps=STEPS, batch=1, end=1.0):
    """Asyrp's loop on the network alone: plain forwards, plain hooks, Euler's steps written out."""
    unet, sampling = network(model), model.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", steps)
    with torch.inference_mode():
        noise = comfy.sample.prepare_noise(tiny.latent(batch)["samples"], 1)
        x = sampling.noise_scaling(sigmas[0], noise, torch.zeros_like(noise), True)
        last = float(sampling.percent_to_sigma(end)) if end < 1 else 0.0
        for sigma, following in zip(sigmas[:-1], sigmas[1:], strict=True):

            def x0(h_shift, x=x, sigma=sigma):
                add = lambda module, args, out: out + h_shift
                handle = unet.middle_block[-1].register_forward_hook(add)
                try:
                    rows = []
                    for part in (tiny.cond(1), tiny.cond(2)):
                        at = sampling.timestep(sigma[None]).expand(len(x))
                        context = part[0][0].expand(len(x), -1, -1)
                        scaled = sampling.calculate_input(sigma[None], x)
                        out = unet(scaled, at.float(), context=context, transformer_options={})
                        rows.append(sampling.calculate_denoised(sigma[None], out, x))
                finally:
                    handle.remove()
                return rows[1] + cfg * (rows[0] - rows[1])

            plain = x0(0.0)
            changed = x0(shift(float(sigma))) if float(sigma) > last else plain
            x = changed + following / sigma * (x - plain)
        return model.model.process_latent_out(x)


def counted(model, run):
    """Calls of a residual block of the encoder, and of one of the decoder, in a run."""
    unet, counts = network(model), [0, 0]
    parts = [unet.input_blocks[1][0], unet.output_blocks[0][0]]
    handles = []
    for place, part in enumerate(parts):
        # Inside of a block: what stands in for it does not run its layers.
        layer = part.in_layers[-1]
        add = lambda module, args, out, place=place: counts.__setitem__(place, counts[place] + 1)
        handles.append(layer.register_forward_hook(add))
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return counts


def touched(model):
    """Layers that are not as they were."""
    return [
        name
        for name, part in network(model).named_modules()
        if "forward" in vars(part) or part._forward_hooks or part._forward_pre_hooks
    ]


def test_strength_0_is_the_stock_sampler_bit_for_bit(eps):
    stock = painted(eps)
    for model in (edited(eps, 0.0), edited(eps, 1.0, 0.0)):
        assert torch.equal(painted(model), stock)
        assert torch.equal(painted(model, sampler="dpmpp_2m"), painted(eps, sampler="dpmpp_2m"))


@pytest.mark.parametrize("sampler", ["euler", "ddim"])
def test_a_run_is_asyrps_loop_written_out(eps, sampler):
    found = direction(eps)
    shift = lambda sigma: 1.5 * found(torch.zeros(1, 64, 1, 1), sigma)
    mine = painted(edited(eps, 1.5), sampler=sampler, batch=2)
    torch.testing.assert_close(mine, by_hand(eps, shift, batch=2), rtol=1e-4, atol=1e-4)
    assert (mine - painted(eps, batch=2)).abs().mean() > 1e-2
    half = painted(edited(eps, 1.5, 0.5), sampler=sampler)
    torch.testing.assert_close(half, by_hand(eps, shift, end=0.5), rtol=1e-4, atol=1e-4)


@pytest.mark.once
def test_the_encoder_runs_once_a_step_and_the_decoder_twice(eps):
    assert counted(eps, lambda: painted(eps)) == [STEPS, STEPS]
    assert counted(eps, lambda: painted(edited(eps))) == [STEPS, 2 * STEPS]
    two = edited(edited(eps), seed=1)
    assert counted(eps, lambda: painted(two)) == [STEPS, 2 * STEPS]
    assert touched(eps) == []


@pytest.mark.once
def test_edits_in_a_row_add_up(eps):
    parts = direction(eps, 0), direction(eps, 1)
    total = Direction(site(eps), parts[0].sigmas, parts[0].shifts - 0.5 * parts[1].shifts)
    one = HSpaceEdit.execute(eps, total, 1.0, 1.0, 1.0).args[0]
    both = HSpaceEdit.execute(edited(eps), parts[1], -0.5, 1.0, 1.0).args[0]
    torch.testing.assert_close(painted(both), painted(one), rtol=1e-4, atol=1e-4)


@pytest.mark.once
def test_guidance_joins_in_either_order(eps):
    energy = lambda estimate: (estimate.x0 - 1).square().flatten(1).sum(1)
    rule = Forward(energy, PercentWindow(value=0.3))
    after = guide.apply(edited(eps), [rule])
    before = edited(guide.apply(eps, [rule]))
    stock, edit = painted(after), painted(edited(eps))
    assert torch.equal(stock, painted(before))
    assert (stock - edit).abs().mean() > 1e-2
    none = guide.apply(edited(eps), [Forward(energy, PercentWindow(value=0.0))])
    assert torch.equal(painted(none), edit)


@pytest.mark.once
def test_noise_is_put_back_where_it_is_asked_for_and_rows_do_not_meet(eps):
    boosted = edited(eps, 0.0, 1.0, 0.5)
    both = painted(boosted, batch=2)
    assert not torch.equal(both, painted(eps, batch=2))
    assert torch.equal(both, painted(boosted, batch=2))
    noise = comfy.sample.prepare_noise(tiny.latent(2)["samples"], 1)
    torch.testing.assert_close(painted(boosted, noise=noise[:1]), both[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.once
@pytest.mark.parametrize(
    ("sampler", "boost", "message"),
    [
        ("dpmpp_2m", 1.0, "one evaluation a step.*use euler, ddim"),
        ("heun", 1.0, "one evaluation a step.*use euler, ddim"),
        ("euler_ancestral", 0.5, "adds none itself: use euler or ddim"),
    ],
)
def test_samplers_that_cannot_keep_the_direction_are_refused(eps, sampler, boost, message):
    model, calls = edited(eps, boost=boost), []
    handle = network(eps).register_forward_hook(lambda *args: calls.append(1))
    try:
        with pytest.raises(ValueError, match=message):
            painted(model, sampler=sampler)
    finally:
        handle.remove()
    assert calls == []


@pytest.mark.once
def test_the_model_is_as_it_was_after_an_error(eps):
    def fail(h, sigma):
        raise RuntimeError("in the middle")

    broken = hspace.edited(eps, direction(eps), 1.0, 1.0, 1.0)
    (rule,) = broken.get_attachment(KEY).rules
    object.__setattr__(rule.shifts[0], "direction", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        painted(broken)
    assert touched(eps) == []


@pytest.mark.once
def test_another_models_direction_and_other_networks_are_refused(eps):
    other = Direction(Site("UNetModel", "middle.0", 1280, 12), (1.0,), torch.zeros(1, 1280, 1, 1))
    with pytest.raises(ValueError, match=r"belongs to another model.*1280.*64"):
        hspace.edited(eps, other, 1.0, 1.0, 1.0)
    flux = tiny.flux()
    with pytest.raises(ValueError, match=r"h-space is the middle block of a U-Net.*Flux"):
        hspace.edited(flux, other, 1.0, 1.0, 1.0)


class Words:
    """A text encoder that knows its prompts by number."""

    def tokenize(self, text):
        return text

    def encode_from_tokens_scheduled(self, text):
        return tiny.cond(int(text))


def found(model, way="prompts", source="3", target="1", places="each its own", **changes):
    settings = {"seed": 1, "runs": 2, "steps": STEPS, "cfg": 4.0, "component": 1, **changes}
    with torch.inference_mode():
        return HSpaceDirection.execute(
            *(model, Words(), way, source, target, tiny.latent(2)),
            *(settings["seed"], settings["runs"], settings["steps"], settings["cfg"]),
            *("euler", "normal", settings["component"], places, tiny.cond(2)),
        ).args[0]


def hooked(model, prompt, seed):
    """H of the positive rows at every step, by a plain hook at CFG 1 beside a run at CFG 4."""
    seen = []
    look = lambda module, args, out: seen.append(out.detach().clone())
    handle = network(model).middle_block[-1].register_forward_hook(look)
    try:
        painted(model, positive=tiny.cond(prompt), batch=2, noise_seed=seed, seed=seed)
    finally:
        handle.remove()
    return seen


@pytest.mark.once
def test_a_direction_of_prompts_is_the_difference_of_means_that_plain_hooks_record(eps):
    mine = found(eps)
    sums = []
    for prompt in (3, 1):
        runs = [hooked(eps, prompt, seed) for seed in (1, 2)]
        # Both halves of CFG are one batch: the host puts the positive rows last or first.
        sums.append(runs)
    for step in range(STEPS):
        halves = [
            [torch.cat([run[step][rows] for run in runs]).mean(0) for runs in sums]
            for rows in (slice(0, 2), slice(2, 4))
        ]
        differences = [target - source for source, target in halves]
        nearest = min((mine.shifts[step] - one).norm() for one in differences)
        assert nearest < 1e-4 * mine.shifts[step].norm()
    assert mine.site == site(eps)
    alike = found(eps, places="all alike")
    torch.testing.assert_close(alike.shifts[..., 0, 0], mine.shifts.mean((2, 3)))


@pytest.mark.once
def test_a_component_is_the_widest_way_among_the_runs(eps):
    mine = found(eps, "components", source="3\n1", target="", runs=3)
    runs = [
        found_h
        for seed, prompt in ((1, 3), (2, 1), (3, 3))
        for found_h in [hooked(eps, prompt, seed)]
    ]
    for step in range(STEPS):
        both = [torch.cat([run[step][rows] for run in runs]) for rows in (slice(0, 2), slice(2, 4))]
        way = mine.shifts[step].flatten().double()
        spreads = []
        for states in both:
            off = (states - states.mean(0)).flatten(1).double()
            widest = torch.linalg.eigvalsh(off @ off.T / (len(off) - 1))[-1]
            along = (off @ (way / way.norm())).square().sum() / (len(off) - 1)
            spreads.append(float((along / widest - 1).abs() + (way.norm() ** 2 / widest - 1).abs()))
        assert min(spreads) < 1e-3


@pytest.mark.once
def test_empty_prompts_and_too_few_images_are_refused(eps):
    with pytest.raises(ValueError, match="target needs a prompt"):
        found(eps, target=" \n")
    with pytest.raises(ValueError, match="2 images have 1 principal components"):
        found(eps, "components", runs=1, component=2)


def taught(tmp_path, runs=3, name="bluer", **changes):
    """A direction trained on Shapes, one image and two steps a run."""
    model, clip, vae = shapes.load()
    settings = {"rate": 0.02, "keep": 1.0, "window": (0.0, 1.0), "key": "0", **changes}
    negative = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    latent = {"samples": torch.zeros(1, 4, 16, 16)}
    looked = Runs(model, clip, negative, latent, 1, runs, (2, 4.0, "euler", "normal"))
    network = settings.pop("network", None)
    lesson = Lesson(looked, network, vae, "a circle", "a blue circle", name=name, **settings)
    return model, lesson


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(tmp_path / "output"))
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path))
    monkeypatch.delitem(folder_paths.folder_names_and_paths, networks.FOLDER, raising=False)
    return tmp_path


@needs_shapes
@pytest.mark.once
@torch.inference_mode()
def test_training_goes_on_where_it_stopped_and_its_file_edits_alike(folders, monkeypatch):
    model, lesson = taught(folders)
    whole, report = hspace_training.trained(lesson)
    assert "written to bluer.safetensors" in report
    again, report = hspace_training.trained(lesson)
    assert report == "read from bluer.safetensors"
    h = torch.randn(2, 128, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(again(h, 2.0), whole(h, 2.0))
    assert whole(h, 2.0).abs().max() > 1e-3
    assert touched(model) == []

    _, other = taught(folders, name="again")
    sampled, calls = samplers.sample, []

    def stopped(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return sampled(*args, **kwargs)

    monkeypatch.setattr(samplers, "sample", stopped)
    with pytest.raises(KeyboardInterrupt):
        hspace_training.trained(other)
    assert other.state.is_file()
    assert not other.file.exists()
    resumed, _ = hspace_training.trained(other)
    assert len(calls) == 4
    assert torch.equal(resumed(h, 2.0), whole(h, 2.0))
    assert not other.state.exists()
    resumed = LoadHSpaceDirection.execute("again.safetensors").args[0]
    edit = hspace.edited(model, resumed, 1.0, 1.0, 1.0)
    options = {"size": 16, "width": 64, "batch": 1}
    assert not torch.equal(painted(edit, **options), painted(model, **options))


@needs_shapes
@pytest.mark.once
@torch.inference_mode()
def test_a_file_of_an_earlier_version_is_trained_anew(folders):
    _, lesson = taught(folders, 1)
    lesson.file.parent.mkdir(parents=True, exist_ok=True)
    card = {TOLD: json.dumps({"site": {}, "made_by": lesson.key})}
    save_file({"first.weight": torch.zeros(2)}, lesson.file, card)
    with pytest.raises(ValueError, match="or one of an earlier version"):
        load(lesson.file)
    _, report = hspace_training.trained(lesson)
    assert "written to bluer.safetensors" in report
    assert load(lesson.file).made_by == lesson.key


@needs_shapes
@pytest.mark.once
@torch.inference_mode()
def test_images_of_training_take_the_prompts_in_turn_across_runs():
    model, clip, _ = shapes.load()
    latent = {"samples": torch.zeros(2, 4, 16, 16)}
    looked = Runs(model, clip, None, latent, 1, 3, (2, 1.0, "euler", "normal"))
    prompts = [looked.encoded(text) for text in ("a circle", "a big blue square", "a triangle")]
    for number, turn in enumerate(([0, 1], [2, 0], [1, 2])):
        ((states, _),) = looked.mixed(prompts, number)
        assert torch.equal(states, torch.cat([prompts[k][0][0] for k in turn]))


@needs_shapes
@pytest.mark.once
@torch.inference_mode()
def test_a_step_of_training_goes_down_the_slope_of_the_loss(folders):
    # The gradient in a shift, by the host's graph, beside the rise of the loss.
    model, lesson = taught(folders, 1, network=networks.load(networks.OPEN_CLIP, "shapes"))
    middle, way = UNetMiddle(network(model)), torch.Generator().manual_seed(2)
    with torch.inference_mode(False):
        way = torch.randn(128, 1, 1, generator=way)

    def loss_at(size):
        told = {}
        with torch.inference_mode(False):
            size = torch.tensor(size, requires_grad=True)

            def step(loss):
                loss.sum().backward()
                told["loss"] = float(loss.detach().sum())

            shift = lambda h, sigma: size * way
            first = PercentWindow(0.0, 0.3)
            rule = Teaching(lesson.loss, shift, step, middle, first)
            guided_model = guide.apply(model, [rule], vae=lesson.vae)
        lesson.runs.sample(guided_model, lesson.runs.encoded("a circle"), 1)
        return told["loss"], float(size.grad)

    # Embeddings of length 1 differ by 0.03 here: rounding shows in their direction, so that
    # differences over a short way scatter.
    losses, slopes = zip(*(loss_at(0.3 + 0.05 * step) for step in range(9)), strict=True)
    risen = torch.trapezoid(torch.tensor(slopes), dx=0.05)
    assert float(risen) == pytest.approx(losses[-1] - losses[0], rel=0.03)


@pytest.mark.once
def test_training_without_a_clip_model_is_refused(eps):
    with pytest.raises(ValueError, match="needs a CLIP model, got none"):
        found(eps, "trained by CLIP")
