"""The command that fits a fast decoder, on a real server."""

from __future__ import annotations

import json

import pytest
from energy_guidance.guidance_core.networks import fast_decoder
from energy_guidance.tests.host.server import Server

from tools import fit_decoder

pytestmark = pytest.mark.once

QUICK = ("shapes", "--side", "64", "--runs", "1", "--steps", "2", "--fitting-steps", "2")


@pytest.fixture
def folder(server: Server):
    """Of decoders; what a test makes there is gone afterwards, for `auto` would take it."""
    found = server.log.parent / "models" / "vae_approx"
    yield found
    for file in found.glob("by_command*.safetensors"):
        file.unlink()


def test_a_decoder_is_fitted(server: Server, folder, capsys, tmp_path) -> None:
    address = f"http://{server.address}"
    fit_decoder.main([address, *QUICK, "--name", "by_command"])
    assert "by_command" in capsys.readouterr().out
    assert fast_decoder.card_of(folder / "by_command.safetensors").channels == 4
    options = fit_decoder._options([address, *QUICK, "--name", "by_command_too"])
    workflow = tmp_path / "fit.json"
    workflow.write_text(json.dumps(fit_decoder.graph(address, options)), encoding="utf-8")
    fit_decoder.main([address, "--workflow", str(workflow)])
    assert (folder / "by_command_too.safetensors").exists()


def test_what_the_server_refuses_is_said(server: Server, tmp_path) -> None:
    address = f"http://{server.address}"
    with pytest.raises(ValueError, match=r"ckpt_name: 'nowhere\.safetensors' not in"):
        fit_decoder.main([address, "nowhere.safetensors"])
    other = tmp_path / "other.json"
    other.write_text('{"1": {"class_type": "EGLoadShapes", "inputs": {}}}', encoding="utf-8")
    with pytest.raises(ValueError, match="has no node EGFitFastDecoder"):
        fit_decoder.main([address, "--workflow", str(other)])
