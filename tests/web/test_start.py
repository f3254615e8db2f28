"""Nodes that guide by themselves: strength in words beside its number."""

from __future__ import annotations

import pytest

from tests.web.desk import Desk


@pytest.mark.parametrize(
    ("change", "strength", "amount"),
    [
        ({"strength": "strong"}, "strong", 1.5),
        ({"amount": 0.5}, "weak", 0.5),
        ({"amount": 0.8}, "custom", 0.8),
        ({"strength": "custom"}, "custom", 1),
    ],
)
def test_word_and_number_follow_each_other(
    desk: Desk, change: dict, strength: str, amount: float
) -> None:
    node = desk.add("EGGuideWithText", **change)
    shown = lambda: [desk.values(node)[name] for name in ("strength", "amount")]
    desk.comes(shown, [strength, amount])


def test_strengths_of_the_page_are_those_of_the_server(desk: Desk) -> None:
    offered = desk.page.evaluate(
        "async () => (await (await fetch('/object_info/EGPlaceWords')).json())"
        ".EGPlaceWords.input.required.strength"
    )
    words = offered[1].get("options") or offered[0]
    assert words == ["weak", "medium", "strong", "custom"]
    node = desk.add("EGPlaceWords")
    assert desk.values(node)["amount"] == 1
