"""The chaos command finds what it is there to find: its arithmetic on journals written by hand."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dora.transport.counters import EdgeCounts

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `benchmarks/chaos_checks.py`."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return __import__("chaos_checks")


class Journals:
    """Those of the lossless connection from `tx` to `rx`."""

    def __init__(self, checks: ModuleType, folder: Path) -> None:
        self.checks = checks
        self.folder = folder
        self.born = 0

    def write(self, node: str, pid: int, *entries: tuple[Any, ...]) -> None:
        """The journal of one process: what happened, the port, the sender, the number."""
        self.born += 1
        j, ports = self.checks.j, self.checks.ports_of(node)
        lines = [j.ENTRY.pack(j.BORN, 255, 0, 0, self.born)]
        for kind, port, sender, number in entries:
            lines.append(j.ENTRY.pack(getattr(j, kind), ports.index(port), 0, sender, number))
        (self.folder / f"{node}.{pid}").write_bytes(b"".join(lines))

    def sent(self, pid: int, count: int) -> None:
        """A process of `tx` that sent so many."""
        self.write("tx", pid, *[(kind, "beat", 0, number) for number in range(count) for kind in ("BEGUN", "SENT")])

    def got(self, pid: int, *messages: tuple[int, int]) -> None:
        """A process of `rx` that received these: sender and number."""
        self.write("rx", pid, *[("GOT", "beat", sender, number) for sender, number in messages])

    def tally(self) -> Any:
        lives = {name: self.checks.lives_of(self.folder, name) for name in ("tx", "rx")}
        feed = self.checks.PARTS["rx"].feeds["beat"]
        return self.checks.tally("rx", "beat", feed, lives["rx"], lives["tx"])

    def faults(self, page: EdgeCounts, *, reader_ends: int = 0, sender_ends: int = 0, is_over: bool = False) -> Any:
        feed = self.checks.PARTS["rx"].feeds["beat"]
        return self.checks._faults(self.tally(), page, feed, (reader_ends, sender_ends), is_over)


@pytest.fixture
def journals(checks: ModuleType, tmp_path: Path) -> Journals:
    """None yet."""
    return Journals(checks, tmp_path)


def page(sent: int, taken: int, dropped: int = 0) -> EdgeCounts:
    return EdgeCounts(sent, dropped, 0, 0, 0, taken)


def test_all_is_well_across_the_runs_of_both_sides(journals: Journals) -> None:
    journals.sent(1, 2)
    journals.got(11, (1, 0), (1, 1))
    journals.sent(2, 2)
    journals.got(12, (2, 0))
    found = journals.tally()
    assert (found.sent, found.got, found.missing, found.misplaced, found.faults) == (4, 3, 0, 0, ())
    assert journals.faults(page(4, 3), reader_ends=1, sender_ends=1) == []


def test_message_lost_within_a_run_of_the_reader_is_found(journals: Journals) -> None:
    journals.sent(1, 3)
    journals.got(11, (1, 0), (1, 2))
    (fault,) = journals.faults(page(3, 2), reader_ends=5)
    assert fault.startswith("1 lost, 1 of them within a run, lossless")


def test_one_message_may_go_with_each_reader_that_was_killed(journals: Journals) -> None:
    journals.sent(1, 5)
    journals.got(11, (1, 0))
    journals.got(12, (1, 2), (1, 3))
    assert journals.faults(page(5, 4), reader_ends=1) == []
    assert journals.tally().missing == 1


def test_messages_of_an_earlier_run_of_the_sender_may_not_be_skipped(journals: Journals) -> None:
    journals.sent(1, 3)
    journals.sent(2, 1)
    journals.got(11, (1, 0), (2, 0))
    assert journals.tally().missing == 2


@pytest.mark.parametrize("messages", [((1, 1), (1, 0)), ((1, 0), (1, 0)), ((2, 0), (1, 1))])
def test_broken_order_is_found(journals: Journals, messages: tuple[tuple[int, int], ...]) -> None:
    journals.sent(1, 2)
    journals.sent(2, 2)
    journals.got(11, *messages)
    (fault,) = journals.tally().faults
    assert fault.startswith("order broken or message twice")


def test_counters_that_say_more_than_was_sent_are_found(journals: Journals) -> None:
    journals.sent(1, 2)
    journals.got(11, (1, 0), (1, 1))
    assert journals.faults(page(3, 2), is_over=True) == ["3 counted as sent"]
    assert journals.faults(page(1, 2)) == ["1 counted as sent"]


def test_reader_must_hear_of_each_restart(checks: ModuleType, journals: Journals) -> None:
    journals.write("rx", 11)
    for pid in (1, 2):
        journals.write("mapper", pid)
    lives = {part: checks.lives_of(journals.folder, part) for part in checks.PARTS}
    found = checks.Account({}, lives)
    assert checks.untold(found, has_failed=False) == ["rx was told of 0 restarts of mapper, there were 1"]


def test_dynamic_readers_are_held_to_the_order_alone(checks: ModuleType) -> None:
    counts = checks.Tally(begun=9, sent=9, got=1, missing=8, misplaced=0, faults=())
    found = SimpleNamespace(tallies={("plot", "state"): counts}, ended=lambda part: 0)
    assert checks.violations(found, {}) == []
