"""Plots of a trace: curves named as in the monitor, in the theme that is asked."""

from __future__ import annotations

import pytest
import torch
from energy_guidance.guidance_core.trace import Record, Trace
from energy_guidance.nodes.diagnostics.curves import SUM, curves
from energy_guidance.nodes.diagnostics.figures import THEMES, TILE, drawn, sheet
from energy_guidance.nodes.diagnostics.plot_trace import PlotTrace

LABEL, PLACE = "ClassLabel red", "Position big red"


def trace(
    *, reached: dict[str, float] | None = None, rules: tuple[str, ...] = ("Forward",)
) -> Trace:
    """Two steps of two samples: the label falls to 0.125 and 0.25, the place to 0.03125 and 0."""
    made = Trace()
    for sigma, label, place in (
        (4.0, (0.5, 0.75), (0.25, 0.25)),
        (1.0, (0.125, 0.25), (0.03125, 0.0)),
    ):
        terms = {LABEL: torch.tensor(label), PLACE: torch.tensor(place)}
        one, energy = torch.ones(2), torch.tensor(label) + torch.tensor(place)
        for rule in rules:
            facts = {"terms": terms, "reached": reached or {}, "spread": 0.5}
            made(Record(rule, sigma, energy, one, one, **facts))
    return made


def labels(made: Trace) -> list[tuple[str, str]]:
    return [(one.label, one.reached.strip()) for one in curves(made.rows)["energy"]]


def test_curves_have_the_words_of_the_monitor_and_say_what_is_reached() -> None:
    made = trace(reached={LABEL: 0.125, PLACE: 0.05})
    names = ["together", "label: red", "position: big red"]
    assert labels(made) == list(zip(names, ["", "1 of 2 reached", "reached \u2713"], strict=True))
    assert labels(trace()) == [(name, "") for name in names]
    assert labels(trace(reached={f"{LABEL} + {PLACE}": 0.2}))[0] == ("together", "1 of 2 reached")


def test_several_rules_stand_before_what_they_follow() -> None:
    found = labels(trace(rules=("Forward", "Backward")))
    assert found[1][0] == "Forward, label: red"
    assert found[4][0] == "Backward, label: red"


def test_a_step_is_told_by_that_of_strength_1_and_a_sum_has_the_colour_of_text() -> None:
    found = curves(trace().rows)
    assert found["push"][0].points == [(4.0, [2.0, 2.0]), (1.0, [2.0, 2.0])]
    assert [one.color for one in found["energy"]] == [SUM, 0, 1]
    assert [len(found[name]) for name in ("grad_norm", "push")] == [1, 1]


def corner(image: torch.Tensor) -> str:
    red, green, blue = (image[0, 0, -1] * 255).round().int().tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"


@pytest.mark.parametrize("theme", THEMES)
def test_the_paper_of_a_plot_is_that_of_its_theme(theme: str) -> None:
    image = drawn(trace().rows, 320, 256, theme)
    assert image.shape == (1, 256, 320, 3)
    assert corner(image) == THEMES[theme][0]


def test_a_workflow_without_a_theme_and_a_page_is_drawn_on_white() -> None:
    assert corner(PlotTrace.execute(trace(), 320, 256).args[0]) == THEMES["light"][0]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (40, 80)])
def test_a_sheet_of_maps_has_no_blank_beside_them(height: int, width: int) -> None:
    """Every column and row of pixels but those of the titles and thin lines is part of a map."""
    image = torch.ones(height, width, 3)
    made = sheet(torch.ones(3, 2, height, width), ["red", "a circle"], [9.0, 5.0, 1.0], image)[0]
    paper = made[-1, -1]
    blank = (made - paper).abs().amax(-1) < 0.02
    assert int((~blank.all(0)).sum()) >= 3 * (TILE - 1)
    assert int(blank.all(0).sum()) <= 4 * 8
    tall = round(TILE * height / width)
    assert int((~blank).any(1).sum()) >= 2 * (tall - 1)
    assert len(made) <= 2 * tall + 3 * 34 + 8
