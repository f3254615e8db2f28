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


def test_prompts_of_both_sides_differ_in_what_is_edited_alone():
    for method in edits.METHODS.values():
        edit = method.edit
        assert len(set(edit.source)) == len(edit.source) == len(edit.wanted)
        for before, after in zip(edit.source, edit.wanted, strict=True):
            assert after.replace(f"{edit.target} ", "") == before.replace("red ", "") or (
                edit.word == "size" and after.replace(f"{edit.target} ", "") == before
            )


def test_each_method_is_compared_with_the_unedited_runs_of_its_own_prompts():
    for method in edits.METHODS.values():
        plain = edits.METHODS[edits.unedited(method)]
        assert not plain.way
        assert plain.edit is method.edit
