"""Peak memory of a piece of work, above what was there before it."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Callable

import psutil
import torch

MEGABYTE = 2**20
INTERVAL = 0.005


def peak_mb(work: Callable[[], object]) -> float:
    """Megabytes: of the accelerator where there is one, else of the process."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / MEGABYTE
    if sys.platform == "linux":
        # Give freed memory back, or the next peak hides in it.
        ctypes.CDLL(None).malloc_trim(0)
    return _resident_peak(work) / MEGABYTE


def _resident_peak(work: Callable[[], object]) -> int:
    process, done = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(INTERVAL):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return peak - before
