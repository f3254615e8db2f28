"""One colour for each word in every widget, and one for each type of socket."""

from __future__ import annotations

import re

import pytest

from tests.host.server import CHECKOUT
from tests.web.desk import Desk
from tests.web.test_attention import put_out
from tests.web.test_monitor import tell

SOCKETS = dict(
    re.findall(r'(\w+): "(#\w+)"', (CHECKOUT / "web" / "sockets_data.js").read_text("utf-8"))
)
CHIPS = """() => Object.fromEntries([...document.querySelectorAll("%s .eg-word")]
    .map((chip) => [chip.textContent, chip.style.getPropertyValue("--eg-word")])
    .filter(([, color]) => color))"""
BOXES = """() => Object.fromEntries([...document.querySelectorAll(".eg-layout-plot g")]
    .map((one) => [one.querySelector(".eg-caption").textContent, one.style.color]))"""


def colors(desk: Desk) -> list[dict[str, str]]:
    """Of words of the prompt, of boxes, and of maps."""
    return [desk.run(script) for script in (CHIPS % ".eg-words", BOXES, CHIPS % ".eg-attention")]


def test_a_word_has_one_colour_in_every_widget_also_when_opened_again(desk: Desk) -> None:
    words = ["circle", "square", "star"]
    desk.add("EGTokens", at=(100, 60), prompt="a circle, a square, a star", words="\n".join(words))
    boxes = "\n".join(f"{word}: 0.1 0.1 0.5 0.5" for word in reversed(words))
    desk.add("EGPlaceWords", at=(500, 60), text="nothing", boxes=boxes)
    viewer = desk.add("EGShowAttention", at=(900, 60))
    put_out(desk, viewer, words=words)
    desk.comes(lambda: [sorted(one) for one in colors(desk)], [words, words, words])
    chips, placed, maps = colors(desk)
    assert chips == placed == maps
    assert len(set(chips.values())) == len(words)
    sampler = desk.add("EGGuidedKSampler", at=(900, 400))
    row = {"rule": "Forward", "sigma": 1.0, "energy": [1.0], "grad_norm": [1.0], "push": [1.0]}
    rows = [{**row, "terms": {f"Box {word}": [1.0] for word in words}, "cfg_push": None}]
    message = {"node": str(sampler), "prompt_id": "p", "rows": rows, "done": True}
    tell(desk, "energy_guidance.monitor", {**message, "sigmas": [2.0, 1.0], "levels": [2.0, 1.0]})
    drawn = """() => [...document.querySelectorAll(".eg-key i")].slice(1)
        .map((one) => one.style.background)"""
    desk.comes(lambda: desk.run(drawn), list(chips.values()))
    desk.open(desk.saved())
    desk.comes(lambda: colors(desk)[:2], [chips, placed])


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_sockets_and_links_have_the_colour_of_their_type(desk: Desk, theme: str) -> None:
    desk.setting("Comfy.ColorPalette", theme)
    drawn = """types => types.map((type) => [
        app.canvas.default_connection_color_byType[type],
        app.canvas.constructor.link_type_colors[type],
        getComputedStyle(document.documentElement)
            .getPropertyValue(`--color-datatype-${type}`).trim(),
    ])"""
    try:
        expected = [[color] * 3 for color in SOCKETS.values()]
        desk.comes(lambda: desk.run(drawn, list(SOCKETS)), expected)
    finally:
        desk.setting("Comfy.ColorPalette", "dark")


def test_a_colour_of_the_users_theme_wins(desk: Desk) -> None:
    of = """type => [app.canvas.default_connection_color_byType,
        app.canvas.constructor.link_type_colors].map((table) => {
            table[type] = "#123456";
            const theirs = table[type];
            table[type] = "";
            return [theirs, table[type]];
        })"""
    own = SOCKETS["GUIDANCE_RULE"]
    assert desk.run(of, "GUIDANCE_RULE") == [["#123456", own]] * 2
