"""The quality benchmark's rows and figures; sampling itself is the embedded host's."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")


from bench import records
from bench.quality import page, trial, tune
from bench.quality.methods import METHODS, FreedomText, cost, steps_within
from bench.quality.tasks import NOISE, TASKS, scenes_of
from bench.transfer import page as transfer
from guidance_core.captures import Attention
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.scenes import Item, Scene
from guidance_core.types import Estimate

BATCH = {"weights": "w", "task": "colour label", "method": "DPS", "seed": 0, "batch": 2}
BATCH |= {"budget": 3}
FIGURES = {"evaluations": 3, "seconds": 1.0, "diversity": 0.1, "psnr": None, "steps": 2}


def test_batches_are_written_whole_and_read_again(tmp_path):
    path = tmp_path / "results" / "quality.json"
    assert records.read(path) == []
    rows = [{**BATCH, **FIGURES}, {**BATCH, "seed": 2, "diverged": "not finite"}]
    records.write(path, rows)
    assert records.read(path) == rows
    assert len(path.read_text(encoding="utf-8").splitlines()) == 4
    assert records.read(path, [{"seed": 2, "weights": "w"}, {"seed": 4}]) == rows[1:]
    assert not list(path.parent.glob("*.part"))


def test_a_stopped_run_measures_what_is_missing_alone(tmp_path):
    path, measured = tmp_path / "rows.json", []
    jobs = [{**BATCH, "seed": seed} for seed in (0, 2, 4)]
    rows = [{**jobs[1], "steps": 7}]

    def measure(job):
        measured.append(job["seed"])
        if job["seed"] == 4:
            raise KeyboardInterrupt
        return {"steps": 1}

    with pytest.raises(KeyboardInterrupt):
        records.complete(path, rows, jobs, measure)
    assert measured == [0, 4]
    assert records.read(path) == [{**jobs[1], "steps": 7}, {**jobs[0], "steps": 1}]


def test_cells_are_means_over_pictures_and_what_diverged_counts_as_missed():
    rows = [
        {**BATCH, **FIGURES, "satisfied": [True, True], "clean": [True, False]},
        {**BATCH, "seed": 2, "diverged": "not finite"},
    ]
    cell = page.cells(rows)["colour label", "DPS"]
    assert (cell["satisfied"], cell["clean"], cell["both"]) == (0.5, 0.25, 0.25)
    assert (cell["images"], cell["evaluations"]) == (4, 3)
    refused = page.cells([{**BATCH, "method": "MPGD", "refused": "no maps at the estimate"}])
    table = page.table({("colour label", "DPS"): cell, **refused})
    assert "| DPS | 0.50 | 0.25 | 0.25 |  | 0.100 | 2 | 3 | 1.00 | 4 |" in table
    assert "| MPGD | cannot use this energy |" in table


def test_a_task_depends_on_the_weights_that_take_part():
    weights = {task.name: task.weights for task in TASKS}
    assert weights["position"] == weights["deblurring"] == records.fingerprint(*records.MODEL)
    assert weights["colour label"] == weights["two labels"]
    assert len({weights[name] for name in ("position", "colour label", "CLIP text")}) == 3


def test_methods_are_compared_by_equal_seeds():
    rows = [{**BATCH, "method": name, "seed": seed} for name in "ab" for seed in (0, 2)]
    other = {**BATCH, "task": "deblurring", "seed": 8}
    assert page.shared([*rows[:3], other]) == [rows[0], rows[2], other]
    assert page.shared(rows) == rows


def test_the_summary_sets_ours_against_the_best_of_each_task():
    shares = {"unguided": 0.9, "DPS": 0.25, "MPGD": 0.5, "ours": 0.75}
    found = {("colour label", method.name): {} for method in METHODS}
    found |= {
        ("colour label", name): {"both": share, "images": 64} for name, share in shares.items()
    }
    lines = "\n".join(page.summary(found))
    assert "| colour label | MPGD | 0.50 | 0.75 | noise |" in lines
    assert "0.500 for the best published method of each, 0.250 for ours; the" in lines
    assert f"standard error {((0.5**2 + 0.75 * 0.25) / 64) ** 0.5:.3f}" in lines
    few = {key: {**cell, "images": 4} if cell else cell for key, cell in found.items()}
    assert page.summary(few) == []
    del found["colour label", "TFG"]
    assert page.summary(found) == []


def test_the_summary_takes_no_mean_over_tasks_that_only_ours_starts_from_the_measurement():
    shares = {"DPS": 0.25, "ours": 0.75}
    found = {("deblurring", method.name): {} for method in METHODS}
    found |= {("deblurring", name): {"both": s, "images": 64} for name, s in shares.items()}
    lines = "\n".join(page.summary(found))
    assert "| deblurring | DPS | 0.25 | 0.75 | the measurement |" in lines
    assert "compare starts" in lines
    assert "Mean error" not in lines


def test_few_pictures_are_owned_up_to():
    few, many = {("a", "b"): {"images": 4}}, {("a", "b"): {"images": 64}, ("a", "c"): {}}
    assert "have 4 images" in "".join(page.caution(few))
    assert "0.25" in "".join(page.caution(few))
    assert page.caution(many) == page.caution({}) == []


def test_rows_about_samplers_are_valid_until_a_network_of_theirs_changes(tmp_path, monkeypatch):
    def changed(name: str) -> list[bool]:
        before = [transfer.weights_of(target) for target in transfer.TARGETS]
        (tmp_path / name).write_bytes(b"other weights of " + name.encode())
        after = [transfer.weights_of(target) for target in transfer.TARGETS]
        return [old != new for old, new in zip(before, after, strict=True)]

    monkeypatch.setattr(records, "WEIGHTS", tmp_path)
    (tmp_path / "unet").mkdir()
    assert transfer.TARGETS == ["mixture", "red", "circle", "position"]
    assert changed("open_clip.safetensors") == [False, False, False, False]
    assert changed("classifier.safetensors") == [False, True, True, False]
    assert changed("unet/model.safetensors") == [False, True, True, True]


def test_the_page_about_samplers_sets_guided_beside_unguided():
    row = {"sampler": "euler", "steps": transfer.AT, "target": "red", "batch": 2}
    rows = [
        {**row, "guided": True, "satisfied": 2, "clean": 1},
        {**row, "guided": False, "satisfied": 1, "clean": 2},
    ]
    lines = transfer.section(rows)
    assert f"| euler | {transfer.AT} | 1.00 | 0.50 | 2 | 0.50 | 1.00 |" in lines
    assert "### red" in lines
    assert transfer.section([]) == []


def test_true_scenes_satisfy_every_restoration_and_others_do_not():
    true, other = scenes_of(0, 3), scenes_of(50, 3)
    verdicts = oracle.judge(scenes.render(true))
    for task in (task for task in TASKS if task.restores):
        assert all(task.satisfied(v, scene) for v, scene in zip(verdicts, true, strict=True))
        assert not any(task.satisfied(v, scene) for v, scene in zip(verdicts, other, strict=True))


@pytest.mark.parametrize("task", [t for t in TASKS if t.restores], ids=lambda task: task.name)
def test_truth_is_what_restorations_ask_for(task):
    images = scenes.render(scenes_of(0, 2))
    energy = task.build(torch.device("cpu"), images, 1.0)
    seen = lambda shown: energy(Estimate(shown, torch.ones(2), lambda x0: x0))
    assert (seen(images) < 0.1 * seen(1 - images)).all()


def test_an_object_satisfies_where_it_was_asked_for_only():
    task = next(task for task in TASKS if task.place)
    x, y = (scenes.SIDE * part for part in task.place)
    shown = [
        Scene((Item("circle", colour, "big", x + shift, y, 20.0),))
        for colour, shift in (("red", 5.0), ("red", 20.0), ("blue", 0.0))
    ]
    verdicts = oracle.judge(scenes.render(shown))
    assert [task.satisfied(v, scene) for v, scene in zip(verdicts, shown, strict=True)] == [
        True,
        False,
        False,
    ]


class Maps:
    captures = frozenset({Attention()})

    def __call__(self, estimate):
        return estimate.x0.flatten(1).sum(1)


def test_methods_at_the_estimate_refuse_attention_and_the_others_take_it():
    task = next(task for task in TASKS if task.place)
    refusing = []
    for method in METHODS:
        try:
            method.rules(Maps(), task)
        except ValueError:
            refusing.append(method.name)
    assert refusing == ["LGD", "MPGD", "TFG"]


def test_every_method_spends_the_budget_and_no_more():
    energy = lambda estimate: estimate.x0.flatten(1).sum(1)
    kinds = {(not task.restores, task.hides): task for task in TASKS}
    for method in METHODS:
        for task in kinds.values():
            rules = method.rules(energy, task)
            steps = steps_within(method, task, rules, 40)
            assert cost(method, rules, steps) <= 40
            assert steps == task.most or cost(method, rules, steps + 1) > 40
    unguided, dps, label = METHODS[0], METHODS[1], kinds[True, False]
    assert steps_within(unguided, label, [], 40) == 40
    assert steps_within(dps, label, dps.rules(energy, label), 40) == 20
    assert steps_within(dps, label, dps.rules(energy, label), 1) == 1
    own = METHODS[-1]
    shown, hidden = kinds[False, False], kinds[False, True]
    assert steps_within(own, shown, own.rules(energy, shown), 40) == 10
    assert steps_within(own, hidden, own.rules(energy, hidden), 40) == 20


@pytest.mark.parametrize("task", [t for t in TASKS if t.restores], ids=lambda task: task.name)
def test_restorations_start_from_what_was_seen_alone(task):
    images = scenes.render(scenes_of(0, 2))
    start = task.start(images)
    assert start.shape == images.shape
    error = lambda shown: float((shown - images).square().mean())
    flat = images.mean((2, 3), keepdim=True).expand_as(images)
    assert error(start) < error(flat) + NOISE**2
    if task.name == "inpainting":
        hidden = images.clone()
        hidden[..., scenes.SIDE // 2 :] = 0.5
        torch.testing.assert_close(task.start(hidden), start)


def test_freedom_pushes_by_a_share_of_the_noise():
    sigma = 3.0
    assert FreedomText()(sigma) * sigma / (1 + sigma**2) ** 0.5 == pytest.approx(0.02 * sigma)


def test_the_tuner_goes_on_where_it_was_and_gives_the_rule(tmp_path, monkeypatch):
    tried = []

    def spread(task, jobs, workers, ray):
        assert task is trial.value_of
        for job in jobs:
            if len(tried) == 3:
                tried.append(None)
                raise KeyboardInterrupt
            tried.append(job)
            yield job, dict(job[2])["rho"] + job[3]

    monkeypatch.setattr(tune, "spread", spread)
    arguments = ["--task", "colour label", "--seeds", "4", "--batch", "2", "--rounds", "2"]
    options = tune._options([*arguments, "--out", str(tmp_path)])
    with pytest.raises(KeyboardInterrupt):
        tune.searched(options)
    found = tune.searched(options)
    assert len(set(tried)) == len(tried)
    assert found["settings"]["rho"] == 1.0
    assert found["value"] == 1.0 + (0 + 2) / 2
    assert found["node"]["class_type"] == "EGRuleUnified"
    assert found["node"]["inputs"]["rho"] == 1.0
    energy = lambda estimate: estimate.x0.flatten(1).sum(1)
    assert trial.rule_of("unified", energy, found["settings"]).rho == 1.0
    assert trial.rule_of("strength", energy, {"strength": 0.5, "end": 0.3}).strength.value == 0.5
    with pytest.raises(SystemExit):
        tune._options(["--seeds", "3", "--batch", "2"])
