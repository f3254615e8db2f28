"""Jobs spread over workers: some die, some of them are a cluster's."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from bench.quality.workers import TRIES, spread


def tripled(job: tuple[str, int]) -> int:
    """What an honest worker does."""
    return 3 * job[1]


def dies_once(job: tuple[str, int]) -> int:
    """Kill the worker at number 2, the first time."""
    folder, number = job
    mark = Path(folder) / "died"
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return 3 * number


def dies(job: tuple[str, int]) -> int:
    """Kill the worker, always."""
    with (Path(job[0]) / "deaths").open("a") as file:
        file.write("x")
    os._exit(1)


def fails(job: tuple[str, int]) -> int:
    """An error of the task itself is no death."""
    raise ValueError("no such task")


def test_the_jobs_of_a_worker_that_died_are_run_again(tmp_path):
    jobs = [(str(tmp_path), number) for number in range(4)]
    found = list(spread(dies_once, jobs, 2))
    assert (tmp_path / "died").exists()
    assert sorted(found) == [(job, 3 * job[1]) for job in jobs]


def test_workers_that_always_die_are_given_up(tmp_path):
    with pytest.raises(RuntimeError, match=f"workers died {TRIES} times"):
        list(spread(dies, [(str(tmp_path), 0)], 1))
    assert len((tmp_path / "deaths").read_text()) == TRIES


def test_an_error_of_the_task_is_passed_on(tmp_path):
    with pytest.raises(ValueError, match="no such task"):
        list(spread(fails, [("", 0)], 1))


class Cluster(ModuleType):
    """As much of Ray as is used; the first job finished is the last one given."""

    def __init__(self):
        super().__init__("ray")
        self.began, self.retries = None, None
        names = "WorkerCrashedError", "NodeDiedError", "OutOfMemoryError"
        self.exceptions = SimpleNamespace(**{n: type(n, (Exception,), {}) for n in names})

    def is_initialized(self):
        return self.began is not None

    def init(self, **options):
        self.began = options

    def remote(self, max_retries):
        self.retries = max_retries

        def wrapped(task):
            wrapper = ModuleType("wrapper")
            wrapper.remote = lambda job: (task, job)
            return wrapper

        return wrapped

    def wait(self, references, num_returns):
        return references[-num_returns:], references[:-num_returns]

    def get(self, reference):
        task, job = reference
        return task(job)


def test_a_cluster_is_used_where_an_address_is_given(monkeypatch):
    cluster = Cluster()
    monkeypatch.setitem(sys.modules, "ray", cluster)
    jobs = [("", number) for number in range(3)]
    found = list(spread(tripled, jobs, 1, ray="auto"))
    assert found == [(job, 3 * job[1]) for job in reversed(jobs)]
    assert cluster.began["address"] == "auto"
    assert cluster.retries == TRIES - 1
    cluster.began = {"address": "other"}
    assert len(list(spread(tripled, jobs, 1, ray="auto"))) == 3
    assert cluster.began == {"address": "other"}


@pytest.fixture
def ray():
    """The real Ray, where it is installed, without a cluster left behind."""
    module = pytest.importorskip("ray", reason="Ray is optional: pip install ray")
    yield module
    module.shutdown()


def test_real_ray_runs_the_jobs_of_a_dead_worker_again_and_gives_up_in_the_end(ray, tmp_path):
    jobs = [(str(tmp_path), number) for number in range(4)]
    found = list(spread(dies_once, jobs, 1, ray="local"))
    assert (tmp_path / "died").exists()
    assert sorted(found) == [(job, 3 * job[1]) for job in jobs]
    with pytest.raises(RuntimeError, match=f"workers died {TRIES} times"):
        list(spread(dies, [(str(tmp_path), 0)], 1, ray="local"))
    assert len((tmp_path / "deaths").read_text()) == TRIES
    with pytest.raises(ValueError, match="no such task"):
        list(spread(fails, [("", 0)], 1, ray="local"))


def test_an_address_without_ray_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RuntimeError, match="pip install ray"):
        list(spread(tripled, [("", 0)], 1, ray="auto"))
