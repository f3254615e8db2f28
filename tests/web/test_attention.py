"""Attention maps to leaf through on the node that shows them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.web.desk import Desk
from tests.web.test_monitor import tell

WORDS = ["big red", "circle", "<img src=x onerror=fail()>"]
SIGMAS = [9.0, 5.0, 2.0]
LAYERS = [[4, 4], [8, 8]]
SIDE, COLUMNS = 8, 6


def file(name: str) -> dict[str, str]:
    return {"filename": name, "subfolder": "", "type": "temp"}


def facts(**changes) -> dict:
    """What the node puts out for two images."""
    sizes = {"layers": LAYERS, "tile": [SIDE, SIDE], "columns": COLUMNS}
    files = {"maps": [file("maps0.png"), file("maps1.png")], "below": []}
    return {"words": WORDS, "sigmas": SIGMAS, **sizes, **files, **changes}


def sheet(brightness: int) -> bytes:
    """Maps of which each is bright in one place alone: its number, counted along the rows."""
    count = len(SIGMAS) * (1 + len(LAYERS)) * len(WORDS)
    rows = -(-count // COLUMNS)
    pixels = np.zeros((rows * SIDE, COLUMNS * SIDE, 3), np.uint8)
    for index in range(count):
        row, column = divmod(index, COLUMNS)
        down, right = divmod(index, SIDE)
        pixels[row * SIDE + down, column * SIDE + right] = brightness
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def shown(desk: Desk, **changes) -> int:
    """A node that has run."""
    for name, brightness in (("maps0.png", 255), ("maps1.png", 120)):
        body = sheet(brightness)
        desk.page.route(f"**/view?filename={name}*", lambda r, _, body=body: r.fulfill(body=body))
    node = desk.add("EGShowAttention")
    put_out(desk, node, **changes)
    return node


def put_out(desk: Desk, node: int, **changes) -> None:
    output = {"energy_guidance_attention": [facts(**changes)]}
    tell(desk, "executed", {"node": str(node), "prompt_id": "p", "output": output})


# Brightest place of the canvas, in places of a map, and its opacity from 0 to 1.
BRIGHTEST = """side => {
    const canvas = document.querySelector(".eg-maps");
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    let best = 3;
    for (let i = 3; i < data.length; i += 4) if (data[i] > data[best]) best = i;
    const [x, y] = [((best - 3) / 4) % width, Math.floor((best - 3) / 4 / width)];
    const place = Math.floor((side * y) / height) * side + Math.floor((side * x) / width);
    return [place, Math.round(100 * data[best] / 255) / 100];
}"""


def brightest(desk: Desk) -> list[float]:
    return desk.run(BRIGHTEST, SIDE)


def only(desk: Desk, word: int) -> None:
    """Choose one word of all."""
    for other in range(len(WORDS)):
        if other != word:
            desk.find(".eg-attention .eg-word").nth(other).click()


def index(step: int, layer: int, word: int) -> int:
    """The number of a map in the file."""
    return (step * (1 + len(LAYERS)) + layer) * len(WORDS) + word


def test_sliders_and_words_choose_the_map_that_is_drawn(desk: Desk) -> None:
    shown(desk)
    desk.rest(".eg-maps")
    expect(desk.find('[data-reading="step"]')).to_have_text("2 / 3 · \u03c3 5")
    expect(desk.find('[data-reading="layer"]')).to_have_text("mean of 2")
    only(desk, 1)
    desk.comes(lambda: brightest(desk), [index(1, 0, 1), pytest.approx(0.8, abs=0.25)])
    step, layer = desk.find('[data-slider="step"]'), desk.find('[data-slider="layer"]')
    step.press("ArrowRight")
    expect(desk.find('[data-reading="step"]')).to_have_text("3 / 3 · \u03c3 2")
    layer.press("End")
    expect(desk.find('[data-reading="layer"]')).to_have_text("2 / 2 · 8 \u00d7 8")
    desk.comes(lambda: brightest(desk)[0], index(2, 2, 1))
    desk.find('[data-slider="opacity"]').press("Home")
    desk.comes(lambda: brightest(desk)[1], 0)


def test_each_image_of_the_batch_has_its_maps(desk: Desk) -> None:
    shown(desk)
    desk.rest(".eg-maps")
    desk.comes(lambda: brightest(desk)[1] > 0.5, True)
    desk.find('[data-slider="image"]').press("ArrowRight")
    expect(desk.find('[data-reading="image"]')).to_have_text("2 / 2")
    desk.comes(lambda: 0.1 < brightest(desk)[1] < 0.5, True)


def test_an_image_lies_below_and_gives_the_viewer_its_shape(desk: Desk) -> None:
    wide = io.BytesIO()
    Image.new("RGB", (60, 20), "white").save(wide, "PNG")
    body = wide.getvalue()
    desk.page.route("**/view?filename=below.png*", lambda route: route.fulfill(body=body))
    shown(desk, below=[file("below.png")])
    shape = "() => (({ width, height }) => width / height)(document.querySelector('.eg-maps'))"
    desk.comes(lambda: desk.run(shape), pytest.approx(3, rel=0.02))
    desk.comes(lambda: brightest(desk)[1], 1)


def test_keys_reach_every_word_and_what_was_chosen_stays_after_the_next_run(desk: Desk) -> None:
    node = shown(desk)
    desk.rest(".eg-maps")
    chip = desk.find(".eg-attention .eg-word").nth
    expect(chip(2)).to_have_text(WORDS[2])
    expect(desk.find(".eg-attention img")).to_have_count(0)
    chip(0).press("ArrowRight")
    expect(chip(1)).to_be_focused()
    chip(1).press("Enter")
    expect(chip(1)).to_have_attribute("aria-pressed", "false")
    desk.find('[data-slider="step"]').press("End")
    put_out(desk, node, maps=[file("maps1.png")])
    expect(desk.find('[data-slider="image"]')).to_have_count(0)
    expect(chip(1)).to_have_attribute("aria-pressed", "false")
    expect(desk.find('[data-reading="step"]')).to_have_text("3 / 3 · \u03c3 2")


@pytest.mark.parametrize(
    "wrong",
    [
        {"words": "red"},
        {"words": []},
        {"columns": 0},
        {"tile": [8]},
        {"layers": [["a", 1]]},
        {"sigmas": [None]},
        {"maps": [{"filename": 1}]},
    ],
)
def test_what_is_no_output_of_the_node_is_refused(desk: Desk, wrong: dict) -> None:
    maps = """async value => (await import("/extensions/energy-guidance/attention_data.js"))
        .mapsOf({ energy_guidance_attention: [value] })"""
    assert desk.run(maps, facts()) == facts()
    assert desk.run(maps, {**facts(), **wrong}) is None
    node = desk.add("EGShowAttention")
    put_out(desk, node, **wrong)
    expect(desk.find(".eg-attention .eg-empty")).to_have_text("Maps appear after a run.")


def test_maps_stay_with_the_node_when_its_workflow_is_opened_again(desk: Desk) -> None:
    shown(desk)
    saved = desk.saved()
    assert saved["nodes"][0]["widgets_values"] == [5]
    desk.open(saved)
    expect(desk.find(".eg-attention .eg-word")).to_have_count(len(WORDS))


def test_maps_whose_file_is_gone_leave_the_rest_as_it_is(desk: Desk) -> None:
    node = desk.add("EGShowAttention")
    put_out(desk, node, maps=[file("gone.png")])
    desk.rest(".eg-maps")
    expect(desk.find('[data-reading="step"]')).to_have_text("2 / 3 · \u03c3 5")
