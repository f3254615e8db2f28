"""What `make test` ends with, the suites themselves left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import run_tests
from tools.hosts import Host

NO_TESTS = 5  # pytest's exit status where nothing was collected


@pytest.mark.parametrize(
    ("code", "ci", "status"), [(0, False, 0), (1, False, 1), (NO_TESTS, False, 1), (0, True, 1)]
)
def test_the_status_without_a_comfyui_is_that_of_the_core(
    code: int, ci: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "1" if ci else "")
    monkeypatch.setattr(run_tests.environment, "own", Path)
    monkeypatch.setattr(run_tests, "_hosts", lambda ci: [])
    monkeypatch.setattr(run_tests, "_node", lambda ci: (0, "5 passed, 0 failed"))
    monkeypatch.setattr(run_tests, "_pytest", lambda *arguments: (code, "closing line"))
    assert run_tests.main(["-k", "nothing_at_all"]) == status


def test_arguments_that_choose_nothing_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(run_tests.environment, "own", Path)
    monkeypatch.setattr(run_tests, "_hosts", lambda ci: [])
    monkeypatch.setattr(run_tests, "_node", lambda ci: (0, "5 passed, 0 failed"))
    monkeypatch.setattr(run_tests, "_pytest", lambda *arguments: (NO_TESTS, "no tests ran"))
    run_tests.main(["-k", "nothing_at_all"])
    assert "chosen by -k nothing_at_all" in capsys.readouterr().out


def test_the_browser_shows_all_on_the_first_comfyui_and_what_every_frontend_must_on_newer_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran = []

    def pytest_(python: Path, folder: str, arguments: tuple[str, ...], variables: dict) -> tuple:
        ran.append((folder, variables.get("COMFYUI_PATH"), [*arguments][:2]))
        return 0, "closing line"

    found = [Host(Path(name), name) for name in ("0.29.0", "0.33.0", "0.3.64", "unknown")]
    monkeypatch.setattr(run_tests.environment, "own", Path)
    monkeypatch.setattr(run_tests.environment, "of", lambda host: Path())
    monkeypatch.setattr(run_tests, "_hosts", lambda ci: found)
    monkeypatch.setattr(run_tests, "_node", lambda ci: (0, "5 passed, 0 failed"))
    monkeypatch.setattr(run_tests, "_pytest", pytest_)
    assert run_tests.main([]) == 0
    browser = [(version, chosen) for folder, version, chosen in ran if folder == "web"]
    assert browser == [("0.29.0", []), ("0.33.0", ["-m", "frontends"])]
    hosts = [(version, chosen) for folder, version, chosen in ran if folder == "host"]
    assert [version for version, _ in hosts] == [host.version for host in found]
    part = ["-m", "(not once or everywhere) and not slow"]
    assert [chosen for _, chosen in hosts] == [["-m", "not slow"], part, part, part]
