"""Live curves on the nodes that guide."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Locator, expect

from tests.web.desk import Desk, workflow

STEPS = 4
LEVELS = [14.0, 9.0, 5.0, 2.0, 0.5, 0.0]


def row(step: int, *, rule: str = "Forward", **values: list) -> dict:
    numbers = {"energy": [1.0 / (step + 1)], "grad_norm": [1.0], "push": [0.2], "cfg_push": [0.4]}
    facts = {"terms": {"ClassLabel red": [1.0]}, "reached": {}, "spread": 1.0}
    return {"rule": rule, "sigma": LEVELS[step], **facts, **numbers, **values}


def message(node: int, rows: list[dict], *, prompt: str = "p", **facts) -> dict:
    start = {"sigmas": LEVELS, "levels": LEVELS}
    return {"node": str(node), "prompt_id": prompt, "rows": rows, "done": True, **start, **facts}


def tell(desk: Desk, event: str, detail: dict) -> None:
    """What the server would send."""
    desk.run(
        "([name, detail]) => comfyAPI.api.api.dispatchEvent(new CustomEvent(name, {detail}))",
        [event, detail],
    )


def show(desk: Desk, rows: list[dict], **facts) -> int:
    node = desk.add("EGGuidedKSampler")
    tell(desk, "energy_guidance.monitor", message(node, rows, **facts))
    desk.find(".eg-key").first.wait_for(state="attached")
    return node


def dots(desk: Desk, metric: str) -> Locator:
    return desk.find(f'[data-metric="{metric}"] .eg-dot')


def test_a_run_queued_in_the_browser_shows_a_point_for_each_step(desk: Desk) -> None:
    desk.open(workflow("text-guided"))
    desk.set("EmptyLatentImage", batch_size=1)
    desk.set("EGEnergyCLIPText", cutouts=0)
    quick = {"steps": STEPS, "recurrences": 1, "tries": 1, "backward_steps": 0, "end_percent": 1.0}
    desk.set("EGGuidedKSampler", **quick)
    desk.run(
        "() => comfyAPI.api.api.addEventListener('execution_success', () => (window.ended = true))"
    )
    desk.run("() => app.queuePrompt(0)")
    desk.until("() => window.ended")
    for metric in ("energy", "gradient", "push"):
        expect(dots(desk, metric)).to_have_count(STEPS)
    expect(desk.find(".eg-legend")).to_contain_text("sentence: a big red circle")
    expect(desk.find(".eg-skipped")).to_have_count(0)


def test_terms_are_drawn_one_by_one_and_their_sum_once(desk: Desk) -> None:
    terms = {"ClassLabel red": [1.0], "MeanColor": [2.0]}
    show(desk, [row(step, terms=terms) for step in range(3)])
    expect(dots(desk, "energy")).to_have_count(9)
    expect(dots(desk, "gradient")).to_have_count(3)
    expect(desk.find(".eg-key")).to_have_count(3)


def test_steps_without_guidance_are_marked(desk: Desk) -> None:
    show(desk, [row(1), row(2)])
    steps = """() => [...document.querySelectorAll(".eg-skipped")].map((one) => one.dataset.step)"""
    desk.comes(lambda: desk.run(steps), ["0", "3", "4"])
    expect(desk.find('[data-kind="skipped"]')).to_have_text("guided: 2 of 5 steps")
    expect(desk.find(".eg-warning")).to_have_count(0)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"push": [None]}, "nonfinite"),
        ({"push": [8.0], "spread": 0.5}, "strong"),
        ({"push": [8.0], "spread": 0.5, "cfg_push": None}, "strong"),
    ],
)
def test_warnings_stand_where_the_curves_are(desk: Desk, values: dict, kind: str) -> None:
    show(desk, [row(0), row(1, **values)])
    expect(desk.find(".eg-warning")).to_have_attribute("data-kind", kind)


def test_a_gradient_that_has_vanished_is_a_word_and_no_warning(desk: Desk) -> None:
    show(desk, [row(0), row(1, grad_norm=[1e-9])])
    expect(desk.find('.eg-note[data-kind="saturated"]')).to_have_count(1)
    expect(desk.find(".eg-warning")).to_have_count(0)


def test_what_is_reached_says_so_beside_its_name(desk: Desk) -> None:
    terms = {"ClassLabel red": [0.0, 0.0], "Position big red": [0.04, 0.2], "Size red": [0.1, 0.1]}
    reached = {"ClassLabel red": 0.0, "Position big red": 0.05}
    batch = {name: [1.0, 1.0] for name in ("energy", "grad_norm", "push", "cfg_push")}
    show(desk, [row(step, terms=terms, reached=reached, **batch) for step in range(5)])
    names = ["together", "label: redreached ✓", "position: big red1 of 2 reached", "size: red"]
    expect(desk.find(".eg-key")).to_have_text(names)


def test_a_run_that_was_stopped_says_where_and_calls_no_step_unguided(desk: Desk) -> None:
    show(desk, [row(0), row(1)], interrupted=True)
    expect(desk.find('[data-kind="interrupted"]')).to_have_text("interrupted at step 2 of 5")
    expect(desk.find('[data-kind="skipped"]')).to_have_count(0)
    expect(desk.find(".eg-skipped")).to_have_count(0)


def test_the_monitor_is_as_high_before_a_run_as_after_it(desk: Desk) -> None:
    node = desk.add("EGGuidedKSampler")
    height = "id => app.graph.getNodeById(id).size[1]"
    desk.rest(".eg-plot")
    before = desk.run(height, node)
    terms = {f"ClipText a rather long sentence of several words, {n}": [1.0] for n in range(6)}
    tell(desk, "energy_guidance.monitor", message(node, [row(0, terms=terms, push=[9.0])]))
    expect(desk.find(".eg-key")).to_have_count(7)
    desk.rest(".eg-plot")
    assert desk.run(height, node) == before


def test_an_error_of_the_run_is_said_on_the_node_as_text(desk: Desk) -> None:
    show(desk, [row(0)], prompt="broken", done=False)
    text = "the gradient is not finite <img src=x onerror=fail()>"
    error = {"prompt_id": "broken", "exception_message": text, "node_id": "1", "node_type": "any"}
    tell(desk, "execution_error", {**error, "exception_type": "ValueError", "traceback": []})
    expect(desk.find('[data-kind="fault"]')).to_contain_text(text)
    expect(desk.find(".eg-notices img")).to_have_count(0)


def telling(desk: Desk, key: str, value: object) -> AbstractContextManager:
    """Fail unless the page tells the server this of the monitor before long.

    Earlier changes are told with a delay, so other messages may come first.
    """
    return desk.page.expect_request(
        lambda request: (
            request.url.endswith("/energy_guidance/monitor")
            and request.method == "POST"
            and request.post_data_json[key] == value
        )
    )


def test_folding_is_told_to_the_server_saved_and_undone_by_keyboard(desk: Desk) -> None:
    node = show(desk, [row(0)])
    desk.rest(".eg-fold")
    with telling(desk, "folded", [str(node)]):
        desk.find(".eg-fold").press("Enter")
    expect(desk.find(".eg-plot")).to_have_count(0)
    desk.open(desk.saved())
    expect(desk.find(".eg-fold")).to_have_attribute("aria-expanded", "false")
    desk.rest(".eg-fold")
    with telling(desk, "folded", []):
        desk.find(".eg-fold").click()
    expect(desk.find(".eg-fold")).to_have_attribute("aria-expanded", "true")


def test_switched_off_nothing_is_drawn_or_asked_for(desk: Desk) -> None:
    show(desk, [row(0)])
    try:
        with telling(desk, "on", False):
            desk.setting("EnergyGuidance.Monitor.Show", False)
        expect(desk.find(".eg-monitor")).to_be_hidden()
        expect(desk.find(".eg-plot")).to_have_count(0)
    finally:
        desk.setting("EnergyGuidance.Monitor.Show", True)


def test_curves_stay_with_the_node_when_its_workflow_is_opened_again(desk: Desk) -> None:
    show(desk, [row(0), row(1)])
    saved = desk.saved()
    assert len(saved["nodes"][0]["widgets_values"]) == 13
    desk.open(saved)
    expect(dots(desk, "energy")).to_have_count(2)


def test_opening_a_workflow_again_and_again_does_not_make_its_nodes_grow(desk: Desk) -> None:
    for x, kind in enumerate(("EGGuidedKSampler", "EGSchedule", "EGTokens", "EGEnergyBox")):
        desk.add(kind, at=(50 + 320 * x, 60))
    desk.rest(".eg-layout-plot")
    sizes = [desk.saved()]
    for _ in range(2):
        desk.open(sizes[-1])
        desk.rest(".eg-layout-plot")
        sizes.append(desk.saved())
    first, *later = [[node["size"] for node in saved["nodes"]] for saved in sizes]
    for size in later:
        assert [part for node in size for part in node] == pytest.approx(
            [part for node in first for part in node], abs=2
        )
