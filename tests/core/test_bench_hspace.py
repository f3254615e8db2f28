"""The benchmark of h-space: its jobs, and its table worked out by hand."""

from __future__ import annotations

from bench.hspace import edits


def row(method, *images):
    keys = edits.FIGURES
    return {"method": method, "rows": [dict(zip(keys, image, strict=True)) for image in images]}


def test_methods_of_a_batch_are_measured_one_after_another_on_the_same_noise():
    wanted = edits.jobs("w", 2 * edits.BATCH, ["unedited", "trained"])
    assert [(job["method"], job["seed"]) for job in wanted] == [
        ("unedited", 0),
        ("trained", 0),
        ("unedited", edits.BATCH),
        ("trained", edits.BATCH),
    ]
    assert [job["settings"] for job in wanted[:2]] == [
        edits.METHODS[name].settings for name in ("unedited", "trained")
    ]


def test_a_share_stands_beside_its_standard_error():
    rows = [row("trained", (1, 1, 0, 0), (0, 0, 1, 0)), row("trained", (1, 1, 1, 1), (0, 0, 1, 0))]
    *_, line = edits.table(rows)
    # sqrt(0.5 * 0.5 / 4) = 0.25; sqrt(0.75 * 0.25 / 4) = 0.217.
    assert line.startswith("| trained | 50 ± 25 | 50 ± 25 | 75 ± 22 | 25 ± 22 | 4 |")


def test_prompts_differ_in_their_colour_alone():
    pairs = zip(edits.prompts("red"), edits.prompts("blue"), strict=True)
    assert all(one.replace("red", "blue") == other for one, other in pairs)
    assert len(set(edits.prompts("red"))) == 6
