"""Spread jobs over processes of this machine, or over a Ray cluster."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from tools.hosts import CHECKOUT

TRIES = 3  # how often in a row workers may die before a job is finished

Job = TypeVar("Job")
Value = TypeVar("Value")


def spread(
    task: Callable[[Job], Value], jobs: Sequence[Job], workers: int, ray: str | None = None
) -> Iterator[tuple[Job, Value]]:
    """Jobs with their results, in the order in which they are finished.

    Where a worker dies (killed for memory, a lost machine), its jobs are run again.

    Arguments:
        task: a function of a module.
        jobs: its arguments, each once.
        workers: processes, on this machine.
        ray: address of a Ray cluster to use instead, "auto" for the one that runs here, "local"
            to start one.

    Raises:
        RuntimeError: workers die again and again, or Ray is asked for but not installed.
    """
    return _on_ray(task, jobs, ray) if ray else _here(task, jobs, workers)


def _here(
    task: Callable[[Job], Value], jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, Value]]:
    waiting, deaths = list(jobs), 0
    while waiting:
        # Not forked: threads of torch do not survive that.
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
        futures = {pool.submit(task, job): job for job in waiting}
        try:
            for future in as_completed(futures):
                value = future.result()
                waiting.remove(futures[future])
                deaths = 0
                yield futures[future], value
        except BrokenProcessPool:
            deaths += 1
            if deaths == TRIES:
                raise _died(len(waiting)) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _died(unfinished: int) -> RuntimeError:
    return RuntimeError(
        f"workers died {TRIES} times before any of {unfinished} jobs was finished: "
        "if memory is short, use fewer workers or smaller batches"
    )


def _on_ray(
    task: Callable[[Job], Value], jobs: Sequence[Job], address: str
) -> Iterator[tuple[Job, Value]]:
    ray = _started(address)
    errors = ray.exceptions
    lost = errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError
    remote = ray.remote(max_retries=TRIES - 1)(task)
    running = {remote.remote(job): job for job in jobs}
    while running:
        (ready, *_), _ = ray.wait(list(running), num_returns=1)
        try:
            value = ray.get(ready)
        except lost:
            raise _died(len(running)) from None
        yield running.pop(ready), value


def _started(address: str) -> Any:
    try:
        import ray
    except ImportError:
        raise RuntimeError(
            "a Ray address was given, but ray is not installed: pip install ray, or leave it out"
        ) from None
    if not ray.is_initialized():
        # The checkout travels to the workers; it is small without what git ignores.
        ray.init(address=address, runtime_env={"working_dir": str(CHECKOUT), "excludes": [".git"]})
    return ray
