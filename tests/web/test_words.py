"""Words of the prompt, chosen by clicking."""

from __future__ import annotations

import pytest
import requests
from playwright.sync_api import expect

from tests.host.server import Server
from tests.web.desk import Desk

PROMPT = "a big red circle and a small circle"


def added(desk: Desk, **values: str) -> int:
    node = desk.add("EGTokens", **values)
    desk.rest(".eg-word")
    return node


def click(desk: Desk, index: int) -> None:
    desk.find(".eg-word").nth(index).click()


@pytest.mark.frontends
def test_words_are_chosen_and_dropped_by_clicking(desk: Desk) -> None:
    node = added(desk, prompt=PROMPT, words="big red")
    chosen = lambda: desk.values(node)["words"].split("\n")
    expect(desk.find(".eg-word")).to_have_text(PROMPT.split())
    expect(desk.find(".eg-in-phrase")).to_have_text(["big", "red"])
    click(desk, 2)
    desk.comes(chosen, ["big red", "red"])
    click(desk, 3)
    desk.comes(chosen, ["big red", "red", "circle#1"])
    click(desk, 7)
    desk.comes(chosen, ["big red", "red", "circle"])
    click(desk, 3)
    desk.comes(chosen, ["big red", "red", "circle#2"])
    pressed = ["false", "false", "true", "false", "false", "false", "false", "true"]
    for index, state in enumerate(pressed):
        expect(desk.find(".eg-word").nth(index)).to_have_attribute("aria-pressed", state)


def test_the_keyboard_reaches_every_word(desk: Desk) -> None:
    node = added(desk, prompt=PROMPT, words="")
    chip = desk.find(".eg-word").nth
    chip(0).focus()
    for index, key, then in ((0, "ArrowRight", 1), (1, "ArrowRight", 2), (2, "ArrowLeft", 1)):
        expect(chip(index)).to_be_focused()
        desk.page.keyboard.press(key)
        expect(chip(then)).to_be_focused()
    desk.page.keyboard.press(" ")
    desk.comes(lambda: desk.values(node)["words"], "big")
    desk.page.keyboard.press("ArrowRight")
    expect(chip(2)).to_be_focused()
    desk.page.keyboard.press("Enter")
    desk.comes(lambda: desk.values(node)["words"], "big\nred")


def test_an_answer_between_press_and_release_takes_no_click_away(desk: Desk) -> None:
    node = added(desk, prompt=PROMPT, words="")
    chip = desk.find(".eg-word").nth(2)
    chip.hover()
    desk.page.mouse.down()
    with desk.page.expect_response("**/energy_guidance/words"):
        desk.run(
            "id => app.graph.getNodeById(id).widgets.find((w) => w.name === 'prompt').callback()",
            node,
        )
    desk.page.mouse.up()
    desk.comes(lambda: desk.values(node)["words"], "red")


def test_prompts_are_text_and_never_markup(desk: Desk) -> None:
    added(desk, prompt="<img src=x onerror=alert(1)> <b>cat</b>", words="")
    expect(desk.find(".eg-word", has_text="cat")).to_have_count(1)
    assert desk.find(".eg-words img, .eg-words b").count() == 0


def test_after_a_run_the_words_are_the_tokenizers_own(desk: Desk) -> None:
    shapes = desk.add("EGLoadShapes")
    node = added(desk, prompt="it's a (red:1.3) trirhombus circle", words="circle")
    show = desk.add("PreviewAny")
    desk.run(
        """([shapes, tokens, show]) => {
            const at = (id) => app.graph.getNodeById(id);
            at(shapes).connect(1, at(tokens), 0);
            at(tokens).connect(0, at(show), 0);
            comfyAPI.api.api.addEventListener("execution_success", () => (window.worded = true));
            return app.queuePrompt(0);
        }""",
        [shapes, node, show],
    )
    desk.until("() => window.worded")
    desk.find(".eg-words .eg-note", has_text="Guessed").wait_for(state="detached")
    desk.until("() => document.querySelector('.eg-words .eg-note').textContent === ''")
    words = [" ".join(text.split()) for text in desk.find(".eg-word").all_text_contents()]
    assert words[-2:] == ["trirhombus", "circle"]
    assert words[-3] == "red\u00d71.3"
    assert len(desk.find(".eg-word").nth(len(words) - 2).locator(".eg-piece").all()) > 1


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("{", 400, "not JSON"),
        ('{"node": 1, "prompt": "a"}', 400, "expected node"),
        ('{"node": "1", "prompt": ["a"]}', 400, "expected node"),
        ('{"node": "1", "prompt": "' + "a" * 20_001 + '"}', 400, "at most 20000"),
        ('{"node": "none", "prompt": "a"}', 404, "run the workflow once"),
    ],
)
def test_malformed_requests_are_refused(server: Server, body: str, status: int, words: str) -> None:
    url = f"http://{server.address}/energy_guidance/words"
    answer = requests.post(url, data=body, timeout=60)
    assert (answer.status_code, words in answer.text) == (status, True)


def test_words_of_a_linked_text_node_are_chosen_before_any_run(desk: Desk) -> None:
    text = desk.add("PrimitiveStringMultiline", at=(20, 80), value="a green cat")
    node = desk.add("EGTokens", at=(500, 80), prompt="", words="cat")
    desk.run(
        """([from, to]) => {
            const [source, target] = [from, to].map((id) => app.graph.getNodeById(id));
            const slot = target.inputs.findIndex(({ name }) => name === "prompt");
            source.connect(0, target, slot);
        }""",
        [text, node],
    )
    expect(desk.find(".eg-word")).to_have_text(["a", "green", "cat"])
    desk.run(
        """id => {
            const [widget] = app.graph.getNodeById(id).widgets;
            widget.value = "a dog";
            widget.callback(widget.value);
        }""",
        text,
    )
    expect(desk.find(".eg-word")).to_have_text(["a", "dog"])
    click(desk, 1)
    desk.comes(lambda: desk.values(node)["words"].split("\n"), ["cat", "dog"])
