"""Words of the prompt, chosen by clicking."""

from __future__ import annotations

import pytest
import requests

from tests.host.server import Server
from tests.web.desk import Desk

PROMPT = "a big red circle and a small circle"


def chips(desk: Desk) -> list[str]:
    return desk.find(".eg-word").all_inner_texts()


def added(desk: Desk, **values: str) -> int:
    node = desk.add("EGTokens", **values)
    desk.find(".eg-word").first.wait_for()
    return node


def chosen(desk: Desk, node: int) -> list[str]:
    return desk.values(node)["words"].split("\n")


def test_words_are_chosen_and_dropped_by_clicking(desk: Desk) -> None:
    node = added(desk, prompt=PROMPT, words="big red")
    assert chips(desk) == PROMPT.split()
    assert desk.find(".eg-in-phrase").all_inner_texts() == ["big", "red"]
    desk.find(".eg-word").nth(2).click()
    assert chosen(desk, node) == ["big red", "red"]
    desk.find(".eg-word").nth(3).click()
    assert chosen(desk, node) == ["big red", "red", "circle#1"]
    desk.find(".eg-word").nth(7).click()
    assert chosen(desk, node) == ["big red", "red", "circle"]
    desk.find(".eg-word").nth(3).click()
    assert chosen(desk, node) == ["big red", "red", "circle#2"]
    pressed = [chip.get_attribute("aria-pressed") for chip in desk.find(".eg-word").all()]
    assert pressed == ["false", "false", "true", "false", "false", "false", "false", "true"]


def test_the_keyboard_reaches_every_word(desk: Desk) -> None:
    node = added(desk, prompt=PROMPT, words="")
    desk.find(".eg-word").first.focus()
    for key in ("ArrowRight", "ArrowRight", "Enter", "ArrowLeft", " "):
        desk.page.keyboard.press(key)
    assert sorted(chosen(desk, node)) == ["big", "red"]


def test_prompts_are_text_and_never_markup(desk: Desk) -> None:
    added(desk, prompt="<img src=x onerror=alert(1)> <b>cat</b>", words="")
    assert desk.find(".eg-words img, .eg-words b").count() == 0
    assert "cat" in chips(desk)


def test_after_a_run_the_words_are_the_tokenizers_own(desk: Desk) -> None:
    shapes = desk.add("EGLoadShapes")
    node = added(desk, prompt="it's a (red:1.3) circle", words="circle")
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
    assert "1" not in chips(desk)
    assert chips(desk)[-3:] == ["a", "red", "circle"]


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
