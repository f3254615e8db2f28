"""ComfyUI's own CLIP vision models as guides: what they say, its gradient, what is left behind."""

from __future__ import annotations

import json

import comfy.clip_vision
import pytest
import torch
from energy_guidance.guidance_core.energies.clip_image import ClipImage
from energy_guidance.guidance_core.energies.style import Style
from energy_guidance.guidance_core.rules.backward import Backward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.guidance_core.trace import Trace
from energy_guidance.nodes.host import networks
from energy_guidance.nodes.host.autograd.weights import Loan
from energy_guidance.nodes.loaders.clip_vision import GuideFromCLIPVision

from .test_guides import parts, sampled  # noqa: F401
from .tiny import _filled

CONFIG = {
    "model_type": "clip_vision_model",
    "num_hidden_layers": 3,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "hidden_act": "quick_gelu",
    "num_channels": 3,
    "patch_size": 8,
    "image_size": 32,
    "projection_dim": 16,
}


def model_of(config, folder):
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    with torch.inference_mode():
        model = comfy.clip_vision.ClipVisionModel(str(file))
        _filled(model.model)
    return model


SIGLIP = {
    **{key: value for key, value in CONFIG.items() if key != "projection_dim"},
    "model_type": "siglip_vision_model",
    "hidden_act": "gelu_pytorch_tanh",
}
NAFLEX = {**SIGLIP, "model_type": "siglip2_vision_model", "image_size": -1, "num_patches": 16}
KINDS = {
    config["model_type"]: config
    for config in (CONFIG, SIGLIP, NAFLEX)
    if config["model_type"] in comfy.clip_vision.IMAGE_ENCODERS
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def vision(tmp_path, kind):
    return model_of(KINDS[kind], tmp_path)


def guide_of(vision):
    with torch.inference_mode():
        return GuideFromCLIPVision.execute(vision).args[0]


def pictures(count: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 32, 32), generator=generator) / 255


def test_it_says_what_the_host_says(vision, kind) -> None:
    with torch.inference_mode():
        seen = vision.encode_image(pictures(2).movedim(1, -1))
        ours = guide_of(vision).outputs(pictures(2))
    embeds, first = seen["image_embeds"].float(), 1
    if kind != CONFIG["model_type"]:
        # No class token and no pooling: what the host calls the embedding is every patch.
        embeds, first = embeds.mean(1), 0
    expected = torch.nn.functional.normalize(embeds, dim=1)
    torch.testing.assert_close(ours.embedding, expected, atol=2e-3, rtol=0)
    tokens, hidden = ours.blocks[-2].flatten(2).mT, seen["penultimate_hidden_states"][:, first:]
    torch.testing.assert_close(tokens, hidden, atol=2e-2, rtol=0)
    assert [block.shape for block in ours.blocks] == [(2, 32, 4, 4)] * 3


def test_its_gradient_is_that_of_finite_differences(vision) -> None:
    network, image = guide_of(vision), pictures().requires_grad_()
    direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    value = lambda picture: network.outputs(picture).embedding[0, :4].sum()
    with Loan(network)():
        (grad,) = torch.autograd.grad(value(image), image)
        with torch.no_grad():
            step = 1e-3 * direction
            slope = (value(image + step) - value(image - step)) / 2e-3
    assert float((grad * direction).sum()) == pytest.approx(float(slope), rel=2e-2, abs=1e-3)


def test_it_guides_and_is_left_as_it_was(parts, vision) -> None:  # noqa: F811
    network, before = guide_of(vision), dict(vision.model.named_parameters())
    energies = [ClipImage(network, pictures()), Style(network, pictures(), (1, -1))]
    trace = Trace()
    sampled(parts, [Backward(energy, Constant(0.5), steps=1) for energy in energies], trace)
    assert all(row["grad_norm"][0] > 0 for row in trace.rows)
    assert networks.managed(network) is vision.patcher
    after = dict(vision.model.named_parameters())
    assert all(after[name] is weight for name, weight in before.items())
    assert not any(part._forward_pre_hooks for part in vision.model.modules())


def test_other_vision_models_are_refused(tmp_path) -> None:
    dino = {"model_type": "dinov2", "use_swiglu_ffn": False, "layer_norm_eps": 1e-6}
    with pytest.raises(ValueError, match="expected a CLIP or SigLIP vision model, got Dino"):
        guide_of(model_of({**CONFIG, **dino}, tmp_path))
