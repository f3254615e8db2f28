"""Settings of the tests that need no host."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

# Draw the same examples every time, and take as long as a busy machine needs.
settings.register_profile("core", deadline=None, derandomize=True, database=None)
settings.load_profile("core")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Numbers that a test draws without a generator are those of every run."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The tensors are tiny: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
