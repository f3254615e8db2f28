"""Guide nodes in the host: built under inference mode, sampled with gradients."""

from __future__ import annotations

import comfy.sample
import pytest
import torch
from energy_guidance.guidance_core.rules.backward import Backward
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.guidance_core.trace import Trace
from energy_guidance.guidance_core.types import Estimate
from energy_guidance.nodes.energies.clip_image import EnergyCLIPImage
from energy_guidance.nodes.energies.detection import EnergyDetection, boxes_of
from energy_guidance.nodes.energies.face_identity import EnergyFaceIdentity
from energy_guidance.nodes.energies.image import EnergyImage
from energy_guidance.nodes.energies.measurement import EnergyMeasurement
from energy_guidance.nodes.energies.palette import EnergyPalette, palette
from energy_guidance.nodes.energies.segmentation import EnergySegmentation
from energy_guidance.nodes.energies.smoothness import EnergySmoothness
from energy_guidance.nodes.energies.structure import EnergyStructure
from energy_guidance.nodes.energies.style import EnergyStyle, layer_numbers
from energy_guidance.nodes.energies.weighted_sum import CombineEnergies
from energy_guidance.nodes.host import guide, networks, shapes
from energy_guidance.nodes.loaders.classifier import LoadClassifier
from energy_guidance.nodes.loaders.face_encoder import LoadFaceEncoder

NEEDED = ("unet/config.json", "segmenter.safetensors", "vit.safetensors")
pytestmark = pytest.mark.skipif(
    not all((networks.ASSETS / name).is_file() for name in NEEDED),
    reason="the embedded model's weights are not in assets/shapes",
)


@pytest.fixture(scope="module")
def parts():
    with torch.inference_mode():
        return shapes.load()


def picture(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 128, 128, 3, generator=generator)


def energies() -> dict:
    """One energy of each kind that the pack brings a network for, or that needs none."""
    area = torch.zeros(1, 64, 64)
    area[:, 10:40, 20:50] = 1
    segmenter, vit = (
        networks.load(networks.SEGMENTER, "shapes"),
        networks.load(networks.VIT, "shapes"),
    )
    detector = networks.load(networks.DETECTOR, "shapes")
    clip = networks.load(networks.OPEN_CLIP, "shapes")
    camera = {"kernel": "bicubic", "blur": "motion", "blur_size": 5.0, "angle": 20.0}
    camera |= {"shrink": 2, "grey": True, "noise": 0.01, "simulate": True, "weight": 1.0}
    return {
        "measurement": EnergyMeasurement.execute(picture(), missing=area, **camera),
        "image": EnergyImage.execute(picture(), "features", 1.0, network=vit),
        "clip": EnergyCLIPImage.execute(clip, picture(), "spherical", 1, True, 0, 1.0),
        "style": EnergyStyle.execute(vit, picture(), "1, -1", 2.0, mask=area),
        "palette": EnergyPalette.execute("#ff0000 00ff00", 1.0),
        "histogram": EnergyPalette.execute("", 1.0, reference=picture()),
        "smoothness": EnergySmoothness.execute(True, 1.0, mask=area),
        "area": EnergySegmentation.execute(segmenter, "circle", "other", 1.0, area=area),
        "map": EnergySegmentation.execute(segmenter, "", "other", 1.0, area=area * 2 / 255),
        "segmentation": EnergySegmentation.execute(
            segmenter, "", "other", 1.0, reference=picture()
        ),
        "boxes": EnergyDetection.execute(detector, "circle: 0.1 0.2 0.5 0.6", 0, 1.0),
        "structure": EnergyStructure.execute(vit, picture(), "contrast", 0.07, 1.0),
        "appearance": EnergyStructure.execute(vit, picture(), "appearance", 0.07, 1.0),
    }


def sampled(parts, rules, trace=None) -> torch.Tensor:
    model, clip, vae = parts
    with torch.inference_mode():
        if rules:
            model = guide.apply(model, rules, vae=vae, trace=trace)
        empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
        noise = torch.randn(1, 4, 16, 16, generator=torch.manual_seed(3))
        start = torch.zeros_like(noise)
        options = {"disable_pbar": True, "seed": 1}
        return comfy.sample.sample(
            model, noise, 2, 1.0, "euler", "normal", empty, empty, start, **options
        )


@pytest.mark.once
def test_every_guide_pushes(parts) -> None:
    with torch.inference_mode():
        built = {name: output.args[0] for name, output in energies().items()}
    trace = Trace()
    latents = sampled(parts, [Backward(e, Constant(0.5), steps=1) for e in built.values()], trace)
    assert latents.isfinite().all()
    for name, row in zip(built, trace.rows[: len(built)], strict=True):
        assert row["grad_norm"][0] > 0, name
        assert row["silent"] == {}, name


def test_a_sum_of_guides_goes_through_the_model(parts) -> None:
    with torch.inference_mode():
        some = energies()
        pair = [some[name].args[0] for name in ("area", "structure")]
        total = CombineEnergies.execute(pair[0], 1.0, 1.0, 1.0, 1.0, energy_2=pair[1]).args[0]
    guided = sampled(parts, [Forward(total, Constant(0.5))])
    assert not torch.equal(guided, sampled(parts, []))


def test_boxes_of_a_segmenter_are_areas_for_their_labels() -> None:
    segmenter = networks.load(networks.SEGMENTER, "shapes")
    area = torch.zeros(1, 64, 64)
    area[:, 16:32, 8:24] = 1
    more = torch.zeros(1, 64, 64)
    more[:, 48:, 48:] = 1
    text = "circle: 0.125 0.25 0.375 0.5\nsquare: 0.75 0.75 1 1\nsquare: 0.125 0.25 0.375 0.5"
    with torch.inference_mode():
        boxes = EnergySegmentation.execute(segmenter, "star", "other", 1.0, boxes=text).args[0]
        parts = [
            EnergySegmentation.execute(segmenter, label, "other", 1.0, area=there).args[0]
            for label, there in (("circle", area), ("square", area + more))
        ]
        image = picture().movedim(-1, 1)
        estimate = Estimate(image, torch.ones(1), lambda x0: x0)
        total = sum(part(estimate) for part in parts)
        torch.testing.assert_close(boxes(estimate), total)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: EnergyImage.execute(torch.rand(1, 8, 8, 4), "l2", 1.0),
            "got 4 channels",
        ),
        (lambda: palette("#12345"), "colors must be #rrggbb .*got #12345: "),
        (lambda: layer_numbers("two"), "whole numbers"),
        (lambda: boxes_of("dog 0 0 1 1"), "one object per line, .* got 'dog 0 0 1 1'"),
        (lambda: boxes_of(" \n"), "boxes is empty"),
        (
            lambda: EnergySegmentation.execute(None, "circle", "other", 1.0),
            "an area, a reference or boxes, got none: ",
        ),
        (
            lambda: EnergySegmentation.execute(
                None, "", "other", 1.0, reference=picture(), boxes="circle: 0 0 1 1"
            ),
            "got a reference and boxes: ",
        ),
        (
            lambda: EnergyFaceIdentity.execute(
                None, picture(), "cosine", 1.0, reference_mask=torch.zeros(1, 128, 128)
            ),
            "reference_mask is empty",
        ),
        (
            lambda: networks.load(networks.AESTHETIC, "shapes"),
            "expected a weights file under models/guidance",
        ),
    ],
)
def test_what_nodes_refuse(make, words) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_a_file_that_is_not_there_is_refused_when_the_workflow_is_queued() -> None:
    assert LoadClassifier.validate_inputs(file="shapes") is True
    assert LoadClassifier.validate_inputs(file=None) is True
    assert "file must be a weights file" in LoadClassifier.validate_inputs(file="nothing.pt")
    assert LoadFaceEncoder.validate_inputs(file="shapes") is True
    assert "file must be a weights file" in LoadFaceEncoder.validate_inputs(file="face.pt")
