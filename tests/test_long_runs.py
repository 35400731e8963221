"""The command for long runs judges what its scenarios find; what they do is tested in `end_to_end/`."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from end_to_end.running import Flow
from end_to_end.scenarios.marks import Mark

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def long_runs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `benchmarks/long_runs.py`."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return __import__("long_runs")


def run_of(long_runs: ModuleType, marks: list[Mark], left: str = "") -> object:
    """A long run that finds these marks, and may leave something behind."""

    def scenario(flow: Flow, count: int) -> list[Mark]:
        if left:
            (flow.home / left).touch()
        return marks

    return long_runs.LongRun("example", 1, "{count} examples", scenario)


def test_run_whose_marks_hold_is_well(long_runs: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert long_runs.perform(run_of(long_runs, [Mark("lost", 0, "==", 0)]), 3)
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == ["example: 3 examples", "  lost: 0 (== 0)", "  left behind: 0 (== 0)"]


def test_missed_mark_fails_the_run_and_is_named(long_runs: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert not long_runs.perform(run_of(long_runs, [Mark("lost", 1, "==", 0)]), 3)
    assert "  lost: 1 (== 0)  MISSED\n" in capsys.readouterr().out


def test_anything_left_behind_fails_the_run(long_runs: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert not long_runs.perform(run_of(long_runs, [Mark("lost", 0, "==", 0)], left="run-1"), 3)
    assert "/run-1\n" in capsys.readouterr().out


def test_command_ends_with_1_when_a_mark_is_missed(long_runs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["long_runs.py", "all"])
    monkeypatch.setattr(long_runs, "LONG_RUNS", [run_of(long_runs, [Mark("lost", 1, "==", 0)])])
    assert long_runs.main() == 1
