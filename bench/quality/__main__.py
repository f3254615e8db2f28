"""Sample every task by every method with the same seeds and the same budget, and write the page.

    make bench-quality
    python -m bench.quality --seeds 8 --budget 40 --methods unguided ours

The budget is in evaluations of the model for one picture, a backward pass counted as one more: each
method takes as many steps as it allows. Each finished batch of seeds is noted in
bench/results/quality.json, so that a run that was stopped goes on where it was. Batches of other
weights of Shapes stay, but are not shown.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from bench import transfer
from bench.quality import report, tasks
from bench.quality.methods import METHODS, Method, denoised, steps_within
from bench.quality.tasks import TASKS, Task
from bench.records import GUIDED, MODEL, fingerprint, read, write
from guidance_core.shapes import oracle, scenes
from guidance_core.types import Rule
from tools.demo import diffusers_host

ROOT = Path(__file__).resolve().parents[2]


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    """What makes a batch the same batch."""
    return tuple(row[name] for name in ("weights", "task", "method", "seed", "batch", "budget"))


def truth(seed: int, batch: int) -> Tensor:
    """Pictures to be restored, for a batch of seeds."""
    return scenes.render(tasks.scenes_of(seed, batch))


def drawn(
    model: diffusers_host.Shapes,
    task: Task,
    method: Method,
    rules: Sequence[Rule],
    batch: dict[str, Any],
) -> tuple[Tensor, float, int]:
    """Pictures (B, 3, 128, 128), seconds for one of them, and evaluations of the model for each."""
    share = denoised(method, task)
    settings = diffusers_host.Settings(
        seed=batch["seed"],
        batch=batch["batch"],
        steps=batch["steps"],
        recurrences=method.recurrences,
        end_percent=method.end_percent,
        eta=method.eta if share == 1 else 0.0,  # fresh noise would hide what the start shows
        denoise=share,
    )
    start = None
    if share < 1:
        start = model.encoded(task.start(truth(batch["seed"], batch["batch"])))
    evaluations = 0

    def counted(module: object, args: object, output: Any) -> None:
        nonlocal evaluations
        evaluations += 2 if output.sample.requires_grad else 1

    hook = model.unet.register_forward_hook(counted)
    began = time.perf_counter()
    try:
        latents = diffusers_host.sample(model, rules, settings, positive=task.prompt, start=start)
    finally:
        hook.remove()
    with torch.no_grad():
        pictures = model.decode(latents).cpu()
    return pictures, (time.perf_counter() - began) / len(pictures), evaluations


def figures(task: Task, seed: int, pictures: Tensor) -> dict[str, Any]:
    """What the oracle sees, how far the pictures are from each other, and from the true ones."""
    verdicts, gaps = oracle.judge(pictures), torch.pdist(pictures.flatten(1))
    true = tasks.scenes_of(seed, len(pictures))
    error = (pictures - scenes.render(true)).square().flatten(1).mean(1)
    return {
        "satisfied": [task.satisfied(v, scene) for v, scene in zip(verdicts, true, strict=True)],
        "psnr": None if not task.restores else float((-10 * error.log10()).mean()),
        "clean": [verdict.clean for verdict in verdicts],
        "diversity": float(gaps.sum()) / max(1, len(gaps)) / pictures[0].numel() ** 0.5,
    }


def tried(
    model: diffusers_host.Shapes, task: Task, method: Method, batch: dict[str, Any]
) -> dict[str, Any]:
    """One batch of one cell: what came out, or why nothing did."""
    true = truth(batch["seed"], batch["batch"])
    energy = task.build(model.device, true, method.confidence)
    try:
        rules = method.rules(energy, task)
    except ValueError as error:
        return {**batch, "refused": str(error)}
    batch = {**batch, "steps": steps_within(method, task, rules, batch["budget"])}
    try:
        pictures, seconds, evaluations = drawn(model, task, method, rules, batch)
    except RuntimeError as error:
        if "not finite" not in str(error):
            raise
        return {**batch, "diverged": str(error)}
    row = {**batch, "evaluations": evaluations, "seconds": seconds}
    return row | figures(task, batch["seed"], pictures)


def run(options: argparse.Namespace) -> None:
    """Sample what is missing, and note each batch."""
    rows = read(options.results)
    done = {key(row) for row in rows}
    jobs = [
        (task, method, seed)
        for seed in range(0, options.seeds, options.batch)
        for task in TASKS
        if task.name in options.tasks
        for method in METHODS
        if method.name in options.methods
    ]
    # Guidance that diverges leaves denormal numbers, ten times as slow on a CPU.
    torch.set_flush_denormal(True)
    model = diffusers_host.load()
    bar = tqdm(jobs, disable=not sys.stderr.isatty())
    for task, method, seed in bar:
        size = min(options.batch, options.seeds - seed)
        names = {"weights": task.weights, "task": task.name, "method": method.name}
        batch = {**names, "seed": seed, "batch": size, "budget": options.budget}
        if key(batch) in done:
            continue
        bar.set_description(f"{task.name}, {method.name}")
        rows.append(tried(model, task, method, batch))
        write(options.results, rows)


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.quality", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=64, help="pictures in each cell")
    parser.add_argument("--batch", type=int, default=4, help="pictures drawn at once")
    parser.add_argument("--budget", type=int, default=40, help="evaluations for each picture")
    names, methods = [t.name for t in TASKS], [m.name for m in METHODS]
    parser.add_argument("--tasks", nargs="+", choices=names, default=names)
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    results = ROOT / "bench" / "results" / "quality.json"
    parser.add_argument("--results", type=Path, default=results, help="finished batches")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "benchmark.md")
    parser.add_argument("--render", action="store_true", help="only write the page anew")
    options = parser.parse_args(arguments)
    if min(options.seeds, options.batch, options.budget) < 1:
        parser.error("--seeds, --batch and --budget must be at least 1")
    return options


def main() -> int:
    """Run, then render."""
    options = _options()
    if not options.render:
        run(options)
    known = {(task.name, task.weights) for task in TASKS}
    rows = [row for row in read(options.results) if (row["task"], row["weights"]) in known]
    cells = report.cells(report.shared([row for row in rows if row["budget"] == options.budget]))
    valid = (fingerprint(*GUIDED), transfer.NO_WEIGHTS)
    others = [row for row in read(transfer.RESULTS) if row["weights"] in valid]
    more = transfer.section(others)
    page = report.page(cells, options.budget, fingerprint(*MODEL), more)
    options.page.write_text(page, encoding="utf-8")
    report.plot(cells, options.page.with_suffix(".png"))
    print(report.table(cells))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"make bench-quality: {error}")
