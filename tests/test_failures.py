"""The page of failures names tests and runs that exist, for every failure of the list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
BENCHMARKS = TESTS.parent / "benchmarks"
PAGE = (TESTS.parent / "docs" / "failures.md").read_text()
SOURCES = {path.name: path.read_text() for path in BENCHMARKS.glob("*.py")}


def rows() -> list[list[str]]:
    """The cells of each row: number, failure, mark, what holds it off."""
    lines = [line for line in PAGE.splitlines() if re.match(r"\| [0-9]+ \|", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_failure_has_a_row() -> None:
    assert [int(row[0]) for row in rows()] == list(range(1, 60))


def test_every_row_names_what_holds_it_off_or_says_later() -> None:
    assert [row for row in rows() if "`" not in row[3] and "later" not in row[3] and "the same" not in row[3]] == []


def test_every_named_test_exists() -> None:
    defined = {name for path in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    assert set(re.findall(r"`(test_\w+)`", PAGE)) <= defined


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`long-runs ([\w-]+)`", PAGE)) - {"NAME"}))
def test_every_long_run_exists(name: str) -> None:
    assert f'LongRun("{name}"' in re.sub(r"LongRun\(\s+", "LongRun(", SOURCES["long_runs.py"])


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`stop-runs (\w+)`", PAGE)) - {"NAME"}))
def test_every_stop_run_exists(name: str) -> None:
    assert f"def {name}(" in SOURCES["stop_runs.py"]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`service-runs (\w+)`", PAGE)) - {"NAME"}))
def test_every_service_run_exists(name: str) -> None:
    assert f"\ndef {name}(" in SOURCES["service_runs.py"]


@pytest.mark.parametrize("name", ["chaos", "soak", "kill-matrix"])
def test_every_command_exists(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert name.replace("-", "_") + ".py" in SOURCES
