"""The benchmarks' own arithmetic, and that their dataflows are valid; what they measure is no test."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dora.dataflow.load import load_dataflow

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `benchmarks/page.py`."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return __import__("page")


def values(ours: float, peer: float, floor: float) -> dict[str, dict[str, dict[str, list[float]]]]:
    """One round of the 4 MB latency case."""
    return {
        "latency-4000000": {"ours": {"p50_us": [ours]}, "peer": {"p50_us": [peer]}},
        "memcpy-4000000": {"machine": {"warm_us": [floor]}},
    }


@pytest.mark.parametrize("dataflow", sorted(BENCHMARKS.glob("dataflows/*.yml")), ids=lambda path: path.stem)
def test_dataflow_is_valid_and_its_nodes_exist(dataflow: Path) -> None:
    for node in load_dataflow(dataflow).nodes:
        files = [operator.source for operator in node.operators] or [node.path]
        assert all((BENCHMARKS / "nodes" / file).is_file() for file in files)


def test_budget_is_judged_against_the_floor(page: ModuleType) -> None:
    row = page.latency_row(4_000_000, "4 MB", 50, page.copies(1.5))
    assert page.table_line(row, values(449, 9000, 300)).endswith("| 20 x | yes |")
    assert page.table_line(row, values(451, 9020, 300)).endswith("| 20 x | **no** |")


def test_budget_is_judged_against_the_peer(page: ModuleType) -> None:
    row = page.latency_row(4_000_000, "4 MB", 50, page.part_of_peer(10))
    assert page.table_line(row, values(30, 300, 1)).endswith("| yes |")
    assert page.table_line(row, values(31, 300, 1)).endswith("| **no** |")


def test_missing_figures_do_not_hold(page: ModuleType) -> None:
    row = page.latency_row(4_000_000, "4 MB", 50, page.part_of_peer(10))
    assert page.table_line(row, {}).endswith("| - | - | - | **no** |")
    assert math.isnan(page.median({}, "latency-4000000", "ours", "p50_us"))


def test_every_message_of_the_least_programs_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    least = __import__("least")
    ages = least.ages_ns(1000, 30, relays=3, readers=2)
    assert sorted(ages) == list(range(30))
    assert all(0 < age < 10_000_000_000 for age in ages.values())


@pytest.mark.slow
def test_nothing_survives_a_run_that_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    processes = __import__("processes")
    child = "import subprocess; subprocess.Popen(['sleep', '60'], start_new_session=True).wait()"
    run = processes.run_bounded([sys.executable, "-c", child], {"PATH": "/usr/bin:/bin"}, tmp_path, timeout_s=0.5)
    assert (run.code, run.left_over) == (None, 1)
