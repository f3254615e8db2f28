"""Fast decoders: the network, its fitting, its file, and the one that Shapes brings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from guidance_core.networks import fast_decoder, weights
from guidance_core.networks.fast_decoder import Card, untrained
from guidance_core.procedures.decoder_fitting import (
    Fitting,
    Pairs,
    as_bytes,
    decibels,
    squared_errors,
)

SMALL = Card("SD15", channels=4, scale=4, width=16, blocks=1)
ASSETS = Path(__file__).parents[2] / "assets" / "shapes"


def pairs(count: int = 24, channels: int = 4, scale: int = 4) -> Pairs:
    """Latents, and the images of a decoder that is known: three of their channels, grown."""
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(count, channels, 6, 6, generator=generator)
    grown = torch.nn.functional.interpolate(latents[:, :3], scale_factor=scale, mode="bilinear")
    return Pairs(latents, as_bytes((grown / 6 + 0.5).clamp(0, 1)))


@pytest.mark.parametrize("channels", [4, 16, 32, 48, 128])
@pytest.mark.parametrize("scale", fast_decoder.SCALES)
def test_sizes_of_images(channels: int, scale: int) -> None:
    network = untrained(Card("any", channels, scale, width=16, blocks=1))
    assert network(torch.randn(2, channels, 3, 5)).shape == (2, 3, 3 * scale, 5 * scale)


def test_its_gradient_is_that_of_differences() -> None:
    network = untrained(SMALL).double()
    x0 = torch.randn(1, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, (x0,))


@pytest.mark.parametrize("card", [SMALL, replace(SMALL, scale=8, blocks=2), Card("any", 4, 1)])
def test_a_pixel_depends_on_the_cells_in_reach_alone(card: Card) -> None:
    network, side, far = untrained(card).double(), 41, 20
    x0 = torch.randn(1, 4, side, side, dtype=torch.float64)
    moved = x0.clone()
    moved[..., far, far] += 1
    with torch.no_grad():
        changed = (network(moved) != network(x0)).any(1)[0]
    cells = changed.view(side, card.scale, side, card.scale).any(3).any(1)
    rows = cells.any(1).nonzero().flatten()
    distance = int((rows - far).abs().max())
    assert network.reach - 1 <= distance <= network.reach


def test_a_million_weights_at_most() -> None:
    assert untrained(Card("any", 128, 8, width=96, blocks=4)).weights < fast_decoder.MOST
    with pytest.raises(ValueError, match="at most 1,000,000 weights, got 2,"):
        untrained(Card("any", 128, 8, width=160, blocks=4))


@pytest.mark.parametrize("wrong", [{"scale": 3}, {"width": 4}, {"blocks": 0}, {"channels": 0}])
def test_sizes_outside_their_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a fast decoder has a scale of"):
        replace(SMALL, **wrong)


def test_no_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="got 0 and 16"):
        Fitting(SMALL, steps=0)


def test_it_learns_a_decoder_that_is_known() -> None:
    known, fitting = pairs(), Fitting(SMALL, steps=300, batch=8)
    before = decibels(squared_errors(fitting.network, known).mean())
    fitting.run(known)
    after = decibels(squared_errors(fitting.network, known).mean())
    assert before < 20
    assert after > 27


def test_stopped_and_resumed_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    known, state = pairs(8), tmp_path / "state"
    whole = Fitting(SMALL, steps=12, batch=4, seed=3)
    whole.run(known)
    stopped = Fitting(SMALL, steps=12, batch=4, seed=3)

    def stop(step: int, error: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped.run(known, stop)
    stopped.save(state)
    resumed = Fitting(SMALL, steps=12, batch=4, seed=3)
    assert resumed.resume(state)
    assert resumed.step == 5
    resumed.run(known)
    ours, theirs = resumed.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not Fitting(SMALL, steps=12).resume(tmp_path / "none")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_file_tells_what_it_is(tmp_path: Path) -> None:
    path, network = tmp_path / "fast.safetensors", untrained(SMALL)
    fast_decoder.save(network, path, replace(SMALL, psnr=31.5))
    assert fast_decoder.card_of(path) == replace(SMALL, psnr=31.5)
    read = fast_decoder.load(path)
    x0 = torch.randn(1, 4, 3, 3)
    torch.testing.assert_close(read(x0), network(x0), rtol=0, atol=2e-2)
    assert not any(weight.requires_grad for weight in read.parameters())
    assert [one.name for one in tmp_path.iterdir()] == ["fast.safetensors"]


def test_files_of_something_else_are_none(tmp_path: Path) -> None:
    assert fast_decoder.card_of(ASSETS / "classifier.safetensors") is None
    assert fast_decoder.card_of(tmp_path / "missing.safetensors") is None
    (tmp_path / "broken.safetensors").write_bytes(b"not a file of tensors")
    assert fast_decoder.card_of(tmp_path / "broken.safetensors") is None
    assert weights.metadata_of(tmp_path / "broken.safetensors") == {}
    with pytest.raises(ValueError, match="is no fast decoder"):
        fast_decoder.load(ASSETS / "classifier.safetensors")


def test_bytes_are_as_good_as_the_images() -> None:
    image = torch.rand(2, 3, 8, 8)
    error = (as_bytes(image) / 255 - image).square().mean()
    assert float(decibels(error)) > 58


def test_decibels_are_those_of_the_definition() -> None:
    assert decibels(torch.tensor([1.0, 0.1, 0.01])).tolist() == pytest.approx([0, 10, 20])


@pytest.fixture(scope="module")
def unseen() -> tuple[Tensor, Tensor]:
    """Estimates of a run that the decoder of Shapes was not fitted to, and the VAE's images."""
    pytest.importorskip("diffusers")
    from tools import diffusers_host
    from tools.shapes import fit_decoder

    model, found = diffusers_host.load(device="cpu"), []
    settings = diffusers_host.Settings(seed=fit_decoder.FIRST_UNSEEN - 8, batch=2, eta=1.0)
    diffusers_host.sample(model, [fit_decoder.Watching(found.append)], settings)
    latents = torch.cat(found[::4])
    return latents, model.images(latents)


def test_that_of_shapes_is_small_and_as_good_as_its_file_says(
    unseen: tuple[Tensor, Tensor],
) -> None:
    path = ASSETS / "fast_decoder.safetensors"
    assert path.stat().st_size <= 300_000
    network = fast_decoder.load(path)
    assert network.card.psnr > 30
    measured = decibels(squared_errors(network, Pairs(unseen[0], as_bytes(unseen[1]))).mean())
    assert float(measured) > network.card.psnr - 2
