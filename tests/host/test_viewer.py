"""Maps that Show Attention hands to the browser."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from energy_guidance.guidance_core.attention.heatmaps import heatmaps_by_layer
from energy_guidance.guidance_core.attention.references import Reference
from energy_guidance.guidance_core.attention.words import Word
from energy_guidance.guidance_core.captures import Attention
from energy_guidance.nodes.diagnostics.show_attention import ShowAttention
from energy_guidance.nodes.host.browser import viewer
from energy_guidance.tests.host.server import Server
from energy_guidance.tests.host.test_http_workflows import STEPS, id_of, workflow
from PIL import Image

WORDS = (Word("red", (2,)), Word("circle", (3, 4)))


def reference(levels: int = 3, images: int = 2) -> Reference:
    """Two layers, of 4 x 6 and of 8 x 12 places."""
    rand = lambda seed, *shape: torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    values = lambda seed: (rand(seed, images, 5, 4, 6), rand(seed + 1, images, 5, 8, 12))
    return Reference({float(k + 1): {Attention(): values(k)} for k in range(levels)}, (8, 12))


def saved(monkeypatch, *arguments) -> tuple[dict, list[torch.Tensor]]:
    """What the browser gets, and the images that it names."""
    kept: list[torch.Tensor] = []

    class Kept:
        def __init__(self, images: torch.Tensor) -> None:
            self.values = [{"filename": str(len(kept) + i)} for i in range(len(images))]
            kept.extend(images)

    monkeypatch.setattr(viewer.ui, "PreviewImage", Kept)
    return viewer.saved_maps(*arguments)[viewer.KEY][0], kept


def test_each_level_layer_and_word_has_its_place(monkeypatch):
    facts, (first, second) = saved(monkeypatch, reference(), WORDS, None)
    assert facts["words"] == ["red", "circle"]
    assert facts["sigmas"] == [3.0, 2.0, 1.0]
    assert facts["layers"] == [[4, 6], [8, 12]]
    assert facts["tile"] == [8, 12]
    assert facts["below"] == []
    expected = torch.stack(
        [heatmaps_by_layer(reference(), WORDS, sigma, (8, 12)) for sigma in (3, 2, 1)], 1
    )
    for b, sheet in enumerate((first, second)):
        for index, tile in enumerate(expected[b].flatten(0, 2)):
            row, column = divmod(index, facts["columns"])
            there = sheet[8 * row : 8 * row + 8, 12 * column : 12 * column + 12]
            assert torch.equal(there, tile.unsqueeze(-1).expand(-1, -1, 3))


def test_large_images_are_made_small_and_few_are_taken(monkeypatch):
    images = torch.rand(9, 32, 1024, 3)
    facts, kept = saved(monkeypatch, reference(1, images=9), WORDS, images)
    assert len(facts["maps"]) == len(facts["below"]) == viewer.IMAGES
    assert kept[-1].shape == (16, 512, 3)


@pytest.mark.parametrize(
    ("layers", "words", "levels"),
    [
        ([(16, 16)] * 5, 3, 50),
        ([(128, 128)] * 10, 4, 30),
        ([(64, 96)] * 70, 20, 100),
        ([(64, 64)] * 70, 77, 1000),
        ([(1, 1)], 1, 1),
    ],
)
def test_maps_of_a_picture_stay_within_bounds(layers, words, levels):
    (height, width), count = viewer.fitting(layers, words, levels)
    pixels = (1 + len(layers)) * words * height * width * count
    assert pixels <= viewer.PIXELS
    assert max(height, width) <= viewer.LARGEST
    assert 1 <= count <= levels
    # Wider where the layers are.
    assert abs(height / width - layers[0][0] / layers[0][1]) < 0.1


def test_nothing_is_computed_where_no_browser_waits(monkeypatch):
    def fail(*_):
        raise AssertionError("computed for nobody")

    monkeypatch.setattr(viewer, "saved_maps", fail)
    shown = ShowAttention.execute(reference(), WORDS, 2).ui
    assert viewer.KEY not in shown
    assert len(shown["images"]) == 2


def test_a_browser_gets_the_maps_as_temporary_images(server: Server) -> None:
    prompt = workflow("move-object", seed=41)
    node = id_of(prompt, "EGShowAttention")
    outcome = server.run(prompt)
    assert not outcome.of("execution_error"), outcome.error["exception_message"]
    (facts,) = outcome.history["outputs"][node][viewer.KEY]
    height, width = facts["tile"]
    tiles = len(facts["sigmas"]) * (1 + len(facts["layers"])) * len(facts["words"])
    rows = -(-tiles // facts["columns"])
    assert len(facts["sigmas"]) == STEPS
    for file in facts["maps"]:
        assert file["type"] == "temp"
        picture = np.asarray(Image.open(io.BytesIO(server.view(file))))
        assert picture.shape == (rows * height, facts["columns"] * width, 3)
        assert (picture.min(), picture.max()) == (0, 255)
