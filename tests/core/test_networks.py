"""Guide networks load from local files, and say what is wrong with those that do not."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import open_clip
import pytest
import timm
import torch
from safetensors.torch import save_file

from guidance_core.energies.clip_image import ClipImage
from guidance_core.energies.style import Style
from guidance_core.networks import classifier, clip, weights
from guidance_core.types import Estimate

TINY = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 8, "head_width": 4, "layers": 1},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}


def described(path: Path, network: torch.nn.Module, card: dict) -> Path:
    """Save a network with its description."""
    save_file(network.state_dict(), path, metadata={"energy_guidance": json.dumps(card)})
    return path


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet-18 file as timm publishes it: no description."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(timm.create_model("resnet18").state_dict(), path)
    return path


def test_architecture_is_recognised_from_the_keys(resnet: Path) -> None:
    network = classifier.load(resnet)
    assert len(network.labels) == 1000
    assert classifier.labels_in(resnet) == network.labels
    assert network.labels[0].startswith("tench")
    assert not network.multi_label
    assert network(torch.rand(2, 3, 40, 56)).shape == (2, 1000)
    assert not any(p.requires_grad for p in network.parameters())


def test_description_tells_labels_size_and_kind(tmp_path: Path) -> None:
    network = timm.create_model("test_resnet", num_classes=2)
    card = {"architecture": "test_resnet", "labels": ["cat", "dog"], "multi_label": True}
    card |= {"input_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    loaded = classifier.load(described(tmp_path / "pets.safetensors", network, card))
    assert loaded.labels == ("cat", "dog")
    assert classifier.labels_in(tmp_path / "pets.safetensors") == ("cat", "dog")
    assert loaded.multi_label
    image = torch.rand(1, 3, 32, 32)
    assert torch.allclose(loaded(image), network.eval()(image * 2 - 1), atol=1e-5)


def test_wrong_architecture_names_the_keys(resnet: Path) -> None:
    with pytest.raises(ValueError, match=r"missing .*; unexpected .*Choose the architecture"):
        classifier.load(resnet, "resnet50")
    with pytest.raises(ValueError, match="timm knows no architecture 'resnet5'"):
        classifier.load(resnet, "resnet5")
    with pytest.raises(ValueError, match="timm knows no architecture 'resnet5'"):
        classifier.labels_in(resnet, "resnet5")


def test_unknown_file_lists_what_is_recognised(tmp_path: Path) -> None:
    save_file({"some.weight": torch.zeros(2)}, tmp_path / "odd.safetensors")
    with pytest.raises(ValueError, match=r"fits none of the architectures .*resnet18"):
        classifier.load(tmp_path / "odd.safetensors")


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a weights file"):
        weights.read(tmp_path / "none.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not a header")
    with pytest.raises(ValueError, match="could not be read as plain weights"):
        weights.read(broken)


class Evil:
    """Runs code when it is unpickled by a careless reader."""

    def __reduce__(self) -> tuple:
        return (exec, ("raise SystemExit('unpickled')",))


def test_pickle_with_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="could not be read as plain weights"):
        weights.read(path)


def test_torch_files_are_unwrapped(tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.w": torch.ones(2).half()}}, tmp_path / "a.pth")
    state, metadata = weights.read(tmp_path / "a.pth")
    assert state["w"].dtype == torch.float32
    assert metadata == {}


def test_an_outline_has_the_names_and_shapes_of_what_is_read(resnet: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.w": torch.ones(2, 3)}}, tmp_path / "a.pth")
    for path in (resnet, tmp_path / "a.pth"):
        state, shapes = weights.read(path)[0], weights.outline(path)[0]
        assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in shapes.items()}
        assert all(value.is_meta for value in shapes.values())
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="could not be read as plain weights"):
        weights.outline(tmp_path / "broken.safetensors")
    with pytest.raises(FileNotFoundError):
        weights.outline(tmp_path / "none.safetensors")


def test_clip_embeds_pictures_and_sentences(tmp_path: Path) -> None:
    card = {"model": TINY, "mean": [0.5] * 3, "std": [0.5] * 3}
    path = described(tmp_path / "tiny.safetensors", open_clip.CLIP(**TINY), card)
    network = clip.load(path)
    image = network.encode_image(torch.rand(2, 3, 20, 30))
    text = network.encode_text(["a red circle", "", "a blue square"])
    assert image.shape == (2, 8)
    assert text.shape == (3, 8)
    assert torch.allclose(image.norm(dim=1), torch.ones(2), atol=1e-5)
    assert torch.allclose(text.norm(dim=1), torch.ones(3), atol=1e-5)


@pytest.mark.parametrize("layers", [1, [1, 1, 1, 1]], ids=["ViT", "ResNet"])
def test_clip_looks_once_at_what_it_says_twice(tmp_path: Path, layers: object) -> None:
    tower = {"layers": layers, "width": 32, "patch_size": 16, "image_size": 32, "head_width": 16}
    card = {"model": {**TINY, "vision_cfg": tower}}
    made = open_clip.CLIP(**card["model"])
    network = clip.load(described(tmp_path / "tiny.safetensors", made, card))
    image = torch.rand(2, 3, 20, 30)
    seen = network.outputs(image)
    torch.testing.assert_close(seen.embedding, network.encode_image(image))
    for one, other in zip(seen.blocks, network.blocks(image), strict=True):
        torch.testing.assert_close(one, other)
    estimate = Estimate(image, torch.ones(2), decode=lambda x0: x0)
    passes = []
    hook = network.network.visual.conv1.register_forward_hook(lambda *_: passes.append(1))
    style, content = Style(network, image, (0,)), ClipImage(network, image, cutouts=0)
    style(estimate), content(estimate)
    assert len(passes) == 3  # the picture, and each energy's reference once
    hook.remove()


def test_clip_architecture_by_name_and_by_keys(tmp_path: Path) -> None:
    save_file({"some.weight": torch.zeros(2)}, tmp_path / "odd.safetensors")
    with pytest.raises(ValueError, match="open_clip knows no architecture 'ViT-Q'"):
        clip.load(tmp_path / "odd.safetensors", "ViT-Q")
    with pytest.raises(ValueError, match=r"does not fit the architecture: missing .*"):
        clip.load(tmp_path / "odd.safetensors", "ViT-B-32")
