"""Real architectures with random weights, from files: once forward and once backward."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import open_clip
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import detection, segmentation

from guidance_core.energies.aesthetic import Aesthetic
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.clip_image import ClipImage
from guidance_core.energies.detection import Detection
from guidance_core.energies.face_identity import FaceIdentity
from guidance_core.energies.image import ReferenceImage
from guidance_core.energies.label_area import LabelArea
from guidance_core.energies.segmentation import Segmentation
from guidance_core.energies.semblance import Semblance
from guidance_core.energies.structure import Structure
from guidance_core.energies.style import Style
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.gradients import at_estimate
from guidance_core.networks import (
    aesthetic,
    classifier,
    clip,
    detector,
    face,
    noisy_classifier,
    segmenter,
    vit,
)
from guidance_core.shapes import scenes
from guidance_core.types import Energy, Estimate
from tools import diffusers_host
from tools.shapes import evaluate, face_encoder, unseen

CARD = "energy_guidance"


def pictures(batch: int = 1, height: int = 40, width: int = 56) -> Tensor:
    generator = torch.Generator().manual_seed(batch)
    return torch.rand(batch, 3, height, width, generator=generator)


def quickly(make: Callable[[], nn.Module]) -> nn.Module:
    """A network with small random weights, without the time that its own initialisation takes."""
    with torch.device("meta"):
        network = make()
    state = {}
    torch.manual_seed(0)
    for key, value in network.state_dict().items():
        # Scales of norms: small ones would leave nothing after fifty layers.
        if key.endswith("running_var") or (value.ndim == 1 and key.endswith("weight")):
            state[key] = torch.ones(value.shape)
        elif value.is_floating_point():
            state[key] = torch.empty(value.shape).uniform_(-0.05, 0.05)
        else:
            state[key] = torch.zeros(value.shape, dtype=value.dtype)
    network.load_state_dict(state, assign=True)
    return network


def saved(path: Path, network: nn.Module, card: dict | None = None) -> Path:
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, path, metadata={CARD: json.dumps(card)} if card else None)
    return path


def check_pushes(energy: Energy, image: Tensor) -> None:
    """The energy is finite and pushes every picture."""
    estimate = Estimate(image, torch.ones(len(image)), lambda x0: x0)
    value, slope = at_estimate(energy, estimate)
    assert value.shape == (len(image),)
    assert (slope.flatten(1).abs().sum(1) > 0).all()


def test_segmenter_from_torchvisions_file(tmp_path: Path) -> None:
    make = lambda: segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
    network = segmenter.load(saved(tmp_path / "lraspp.safetensors", make()))
    assert segmenter.labels_in(tmp_path / "lraspp.safetensors") == network.pixel_labels
    assert network.pixel_labels[0] == "background"
    assert network.pixel_labels[15] == "person"
    assert network.input_size == 520
    network.input_size = 64
    assert network(pictures()).shape == (1, 21, 64, 90)
    area = torch.zeros(10, 10)
    area[2:6, 2:6] = 1
    check_pushes(LabelArea(network, "dog", area), pictures(2))
    check_pushes(Segmentation(network, area.long()), pictures())


def test_narrow_segmenter_and_its_full_size_sibling_are_one_architecture(tmp_path: Path) -> None:
    full = segmenter.build("lraspp_mobilenet_v3_large", 21).state_dict()
    same = segmenter.build("lraspp_mobilenet_v3_large", 21, width=1 + 1e-9).state_dict()
    assert {k: v.shape for k, v in full.items()} == {k: v.shape for k, v in same.items()}
    narrow = segmenter.build("lraspp_mobilenet_v3_large", 3, width=0.25)
    card = {"architecture": "lraspp_mobilenet_v3_large", "width": 0.25, "labels": ["a", "b", "c"]}
    path = saved(tmp_path / "narrow.safetensors", narrow, {**card, "input_size": 32})
    assert segmenter.load(path)(pictures()).shape == (1, 3, 32, 45)
    assert segmenter.labels_in(path) == ("a", "b", "c")


def test_auxiliary_heads_and_other_label_counts_are_read_off_the_file(tmp_path: Path) -> None:
    make = lambda: segmentation.deeplabv3_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=5, aux_loss=True
    )
    network = segmenter.load(saved(tmp_path / "deeplab.safetensors", quickly(make)))
    assert segmenter.labels_in(tmp_path / "deeplab.safetensors") == network.pixel_labels
    assert network.pixel_labels == ("0", "1", "2", "3", "4")
    network.input_size = 32
    assert network(pictures()).shape == (1, 5, 32, 45)


def test_faster_rcnn_pushes_and_stays_as_it_is(tmp_path: Path) -> None:
    make = lambda: detection.fasterrcnn_mobilenet_v3_large_fpn(
        weights=None, weights_backbone=None, num_classes=91
    )
    plain = make()
    # Files of frozen batch norms, as torchvision publishes them, have no step counters.
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked = None
    path = saved(tmp_path / "rcnn.safetensors", plain)
    assert detector.load(path).box_labels[1] == "person"
    assert detector.labels_in(path) == detector.load(path).box_labels
    card = {"architecture": "fasterrcnn_mobilenet_v3_large_fpn", "input_size": 64}
    network = detector.load(saved(path, plain, card))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    energy = Detection(network, torch.tensor([[0.1, 0.1, 0.6, 0.9]]), ("dog",))
    check_pushes(energy, pictures(2))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(module.training for module in network.modules())
    at = lambda image: Estimate(image, torch.ones(len(image)), lambda x0: x0)
    both, alone = energy(at(pictures(2))), energy(at(pictures(2)[1:]))
    torch.testing.assert_close(both[1], alone[0])
    assert len(network.detections(pictures(2))) == 2


def test_retinanet_pushes(tmp_path: Path) -> None:
    make = lambda: detection.retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=3
    )
    card = {"labels": ["background", "circle", "square"], "input_size": 64}
    card["architecture"] = "retinanet_resnet50_fpn"
    network = detector.load(saved(tmp_path / "retina.safetensors", quickly(make), card))
    check_pushes(Detection(network, torch.tensor([[0.1, 0.1, 0.6, 0.9]]), ("square",)), pictures())


def test_small_fcos_pushes_and_its_full_size_sibling_is_recognised(tmp_path: Path) -> None:
    small = quickly(lambda: detector.build("fcos_resnet50_fpn", 3, width=0.25, min_size=64))
    card = {"architecture": "fcos_resnet50_fpn", "width": 0.25, "input_size": 64}
    card["labels"] = ["background", "circle", "square"]
    network = detector.load(saved(tmp_path / "small.safetensors", small, card))
    check_pushes(Detection(network, torch.tensor([[0.1, 0.1, 0.6, 0.9]]), ("square",)), pictures())
    make = lambda: detection.fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=5)
    full = detector.load(saved(tmp_path / "fcos.safetensors", quickly(make)))
    assert full.box_labels == detector.labels_in(tmp_path / "fcos.safetensors")
    assert full.box_labels == ("0", "1", "2", "3", "4")


def test_vit_gives_keys_and_class_token_of_dino(tmp_path: Path) -> None:
    plain = timm.create_model("vit_small_patch16_224", num_classes=0)
    network = vit.load(saved(tmp_path / "dino.safetensors", plain))
    assert network.input_size == 224
    keys = []
    attention = network.network.blocks[-1].attn
    hook = attention.qkv.register_forward_hook(lambda module, args, out: keys.append(out))
    whole = network.network.forward_features(network._prepared(pictures()))
    hook.remove()
    tokens = network.tokens(pictures())
    torch.testing.assert_close(tokens.keys, keys[0][:, 1:, 384:768], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(tokens.pooled, whole[:, 0], atol=1e-5, rtol=1e-4)
    total = WeightedSum(
        ((1.0, Structure(network, 1 - pictures())), (1.0, Semblance(network, 1 - pictures())))
    )
    check_pushes(total, pictures())


def test_vit_refuses_what_is_not_one(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.safetensors", timm.create_model("test_resnet"))
    with pytest.raises(ValueError, match=r"expected a plain ViT .* got 'resnet18'"):
        vit.load(path, "resnet18")
    with pytest.raises(ValueError, match="timm knows no architecture 'vit_q'"):
        vit.load(path, "vit_q")


def test_face_encoders_are_recognised_with_their_embedding(tmp_path: Path) -> None:
    plain = timm.create_model("resnet18", num_classes=32)
    network = face.load(saved(tmp_path / "face.safetensors", plain))
    assert network.encode_face(pictures()).shape == (1, 32)
    check_pushes(FaceIdentity(network, 1 - pictures()), pictures(2))
    plain = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=112)
    network = face.load(saved(tmp_path / "vit.safetensors", plain))
    torch.testing.assert_close(network.encode_face(pictures()).norm(), torch.tensor(1.0))


@pytest.mark.parametrize("pooled", [{}, {"class_token": False, "global_pool": "avg"}])
def test_published_face_transformers_load_by_themselves(tmp_path: Path, pooled: dict) -> None:
    options = {"patch_size": 8, "img_size": 112, "num_classes": 64, **pooled}
    plain = timm.create_model("vit_tiny_patch16_224", **options).eval()
    network = face.load(saved(tmp_path / "vit.safetensors", plain))
    faces = torch.rand(1, 3, 112, 112)
    expected = torch.nn.functional.normalize(plain(2 * faces - 1), dim=1)
    torch.testing.assert_close(network.encode_face(faces), expected)


@pytest.mark.parametrize(
    ("load", "name", "words"),
    [
        (segmenter.load, "unet", "expected a segmenter of torchvision .*got 'unet'"),
        (segmenter.load, "lraspp_mobilenet_v3_large", "missing backbone.*unexpected bn1"),
        (detector.load, "yolo", "expected a detector of torchvision .*got 'yolo'"),
        (detector.load, "fasterrcnn_mobilenet_v3_large_fpn", "missing backbone.*unexpected bn1"),
        (face.load, "facenet", "timm knows no architecture 'facenet'"),
        (vit.load, "vit_tiny_patch16_224", "missing blocks.*unexpected bn1"),
    ],
)
def test_wrong_files_name_the_keys(load, name, words, tmp_path: Path) -> None:
    path = saved(tmp_path / "other.safetensors", timm.create_model("test_resnet"))
    with pytest.raises(ValueError, match=words):
        load(path, name)


def test_resnet_50_labels_and_looks(tmp_path: Path) -> None:
    path = saved(tmp_path / "r.safetensors", timm.create_model("resnet50"), {"input_size": 64})
    network = classifier.load(path, "resnet50")
    assert classifier.labels_in(path, "resnet50") == network.labels
    check_pushes(ClassLabel(network, network.labels[5]), pictures(2))
    check_pushes(ReferenceImage(1 - pictures(), "features", network), pictures())


@pytest.mark.parametrize("architecture", ["ViT-B-32", "RN50"])
def test_clip_looks_at_pictures(architecture: str) -> None:
    make = lambda: open_clip.create_model(architecture, load_weights=False, device="meta")
    assert clip._architecture("auto", make().state_dict(), "file") == architecture
    plain = quickly(make).eval().requires_grad_(False)
    network = clip.ClipNetwork(
        plain, name=architecture, tokenise=None, input_size=224, mean=(0.5,) * 3, std=(0.5,) * 3
    )
    check_pushes(ClipImage(network, 1 - pictures(), cutouts=0), pictures())
    check_pushes(Style(network, 1 - pictures(), (2,)), pictures())


@pytest.mark.parametrize("improved", [False, True])
def test_aesthetic_predictors_are_read_off_their_keys(improved: bool, tmp_path: Path) -> None:
    if improved:
        layers = nn.Sequential(nn.Linear(8, 4), nn.Dropout(), nn.Linear(4, 3), nn.Linear(3, 1))
        holder: nn.Module = nn.Module()
        holder.layers = layers
    else:
        layers = holder = nn.Linear(8, 1)
    network = aesthetic.load(saved(tmp_path / "score.safetensors", holder))
    embedding = torch.nn.functional.normalize(torch.rand(2, 8), dim=1)
    torch.testing.assert_close(network(embedding), layers.eval()(embedding)[:, 0])
    assert network.width == 8

    class Clip(nn.Module):
        def encode_image(self, image: Tensor) -> Tensor:
            return torch.nn.functional.adaptive_avg_pool2d(image, (1, 8))[:, 0, 0]

    check_pushes(Aesthetic(Clip(), network), pictures(2))


def test_what_is_no_predictor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no aesthetic predictor: .*got 8 x 4, 3 x 2"):
        aesthetic.load(
            saved(tmp_path / "odd.safetensors", nn.Sequential(nn.Linear(4, 8), nn.Linear(2, 3)))
        )


def test_the_stand_in_face_encoder_tells_who_an_object_is_and_not_where_or_how_large() -> None:
    network = face.load(face_encoder.WEIGHTS / "face_encoder.safetensors")
    drawn = [unseen.scenes_from(88_000_000, 48, 1), unseen.scenes_from(88_500_000, 48, 1)]
    near = [network.encode_face(scenes.render(some)) for some in drawn]
    who = lambda scene: (scene.items[0].shape, scene.items[0].colour)
    same = torch.tensor([[who(one) == who(other) for other in drawn[1]] for one in drawn[0]])
    cosines = near[0] @ near[1].T
    assert cosines[same].min() > 0.95
    assert cosines[~same].max() < 0.85


def test_the_stand_in_is_the_classifier_without_its_sizes() -> None:
    known = classifier.load(face_encoder.WEIGHTS / "classifier.safetensors")
    image = pictures(2, 64, 64)
    rows = [known.labels.index(name) for name in face_encoder.NAMES]
    logits = nn.functional.normalize(known(image)[:, rows], dim=1)
    stored = face.load(face_encoder.WEIGHTS / "face_encoder.safetensors").encode_face(image)
    torch.testing.assert_close(stored, logits, rtol=1e-3, atol=1e-3)
    assert set(known.labels) - set(face_encoder.NAMES) == set(scenes.SIZES)


def test_the_classifier_of_noisy_latents_of_shapes_knows_more_than_the_commoner_answer() -> None:
    path = diffusers_host.WEIGHTS / "noisy_classifier.safetensors"
    network = noisy_classifier.load(path)
    assert (network.noisy_labels, network.multi_label, network.channels) == (scenes.LABELS, True, 4)
    assert path.stat().st_size < 1.1e6
    right, often = evaluate.under_noise(diffusers_host.load(device="cpu"), path, 64)
    assert right[0] > 0.97  # at sigma 0.3
    assert min(right[1], right[2] + 0.05) > often + 0.15


def test_to_the_vit_of_shapes_structure_is_shape_and_not_colour() -> None:
    colour, shape = evaluate.structure_costs(diffusers_host.WEIGHTS / "vit.safetensors", 64)
    assert shape > 0.03
    assert abs(colour) < 0.1 * shape
