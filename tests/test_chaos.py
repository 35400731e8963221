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

    def stopped(self, pid: int, before: int, behind: int) -> None:
        """A process of `tx` that sent so many before it heard STOP, and so many behind it."""
        kinds = [(kind, "beat", 0, number) for number in range(before + behind) for kind in ("BEGUN", "SENT")]
        self.write("tx", pid, *kinds[: 2 * before], ("STOPPED", "beat", 0, 0), *kinds[2 * before :])

    def faults(self, page: EdgeCounts, *, policy: str = "backpressure", **moment: bool) -> list[str]:
        """As `violations` has them, if the connection has that policy and a queue of 3."""
        feed = self.checks.PARTS["rx"].feeds["beat"]._replace(policy=policy, queue_size=3)
        lives = {name: self.checks.lives_of(self.folder, name) for name in ("tx", "rx")}
        counts = self.checks.tally("rx", "beat", feed, lives["rx"], lives["tx"])
        ends = self.checks.Ends(len(lives["rx"]) - 1, len(lives["tx"]) - 1)
        return self.checks._faults(counts, page, feed, ends, self.checks.Moment(**moment))


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
    assert journals.faults(page(4, 3)) == []


def test_message_lost_within_a_run_of_the_reader_is_found(journals: Journals) -> None:
    journals.sent(1, 3)
    journals.got(10)
    journals.got(11, (1, 0), (1, 2))
    (fault,) = journals.faults(page(3, 2))
    assert fault.startswith("1 lost, 1 of them within a run, lossless")


def test_one_message_may_go_with_each_reader_that_was_killed(journals: Journals) -> None:
    journals.sent(1, 5)
    journals.got(11, (1, 0))
    journals.got(12, (1, 2), (1, 3))
    assert journals.tally().missing == 1
    assert journals.faults(page(5, 4)) == []


def test_two_messages_that_go_with_one_reader_are_found(journals: Journals) -> None:
    journals.sent(1, 5)
    journals.got(11, (1, 0))
    journals.got(12, (1, 3), (1, 4))
    (fault,) = journals.faults(page(5, 4))
    assert fault.startswith("2 lost, 0 of them within a run, lossless")


def test_stopped_sender_may_give_up_what_it_counts_from_its_last_send_before_the_stop(journals: Journals) -> None:
    journals.stopped(1, before=3, behind=1)
    journals.sent(2, 1)
    journals.got(11, (1, 0), (1, 1), (2, 0))
    assert journals.faults(page(5, 3, dropped=2)) == []
    assert journals.faults(page(5, 3, dropped=1)) == ["2 lost behind a STOP, 1 counted as dropped, lossless"]
    assert journals.faults(page(5, 3, dropped=3)) == ["3 counted as dropped, 2 behind a STOP, lossless"]


def test_stopped_sender_may_give_up_nothing_that_it_sent_long_before(journals: Journals) -> None:
    journals.stopped(1, before=3, behind=1)
    journals.sent(2, 1)
    journals.got(11, (1, 0), (1, 2), (1, 3), (2, 0))
    assert journals.faults(page(5, 4, dropped=1)) == ["1 lost, 1 of them within a run, lossless"]


def test_queue_may_only_go_with_ends_that_died_at_once(checks: ModuleType) -> None:
    feed, both = checks.PARTS["relay"].feeds["state"], frozenset(("joints", "relay"))
    assert checks._most_orphans("relay", feed, checks.RUNNING) == 0
    assert checks._most_orphans("relay", feed, checks.Moment(together={both: 2})) == 2 * feed.queue_size


def test_connection_flows_when_the_newest_runs_of_its_ends_hear_each_other(journals: Journals) -> None:
    def heard() -> Any:
        lives = {name: journals.checks.lives_of(journals.folder, name) for name in ("tx", "rx")}
        return journals.checks.Account({}, lives).heard("rx", "beat")

    journals.got(11)
    assert heard() == (0, 0, 0)
    journals.sent(1, 1)
    journals.sent(2, 1)
    journals.got(11, (1, 0))
    assert heard() == (11, 2, 0)
    journals.got(11, (1, 0), (2, 0))
    assert heard() == (11, 2, 1)


@pytest.mark.parametrize(("sent", "is_found"), [(4, False), (6, True)])
def test_no_more_than_a_queue_is_lost_when_both_ends_die(journals: Journals, sent: int, is_found: bool) -> None:
    journals.sent(1, sent)
    journals.got(11, (1, 0))
    journals.sent(2, 1)
    journals.got(12, (2, 0))
    assert journals.tally().orphaned == min(sent - 1, 100)
    assert any("lossless" in fault for fault in journals.faults(page(sent + 1, 2))) == is_found


def test_message_that_is_neither_taken_nor_dropped_nor_queued_is_found(journals: Journals) -> None:
    journals.sent(1, 10)
    journals.got(11, (1, 8), (1, 9))
    assert journals.faults(page(10, 2, dropped=8), policy="drop_oldest") == []
    (lost, uncounted) = journals.faults(page(10, 2, dropped=3), policy="drop_oldest")
    assert lost == "8 missing, at most 3 may be"
    assert uncounted == "5 neither taken nor dropped, at most 4 can be in the queue"


def test_drops_that_were_none_are_found(journals: Journals) -> None:
    journals.sent(1, 3)
    journals.got(11, (1, 0), (1, 2))
    assert journals.faults(page(3, 2, dropped=1), policy="drop_oldest", is_over=True) == []
    assert journals.faults(page(3, 2, dropped=2), policy="drop_oldest", is_over=True) == [
        "1 more taken and dropped than sent",
        "2 counted as dropped, but only 1 did not arrive",
    ]
    assert journals.faults(page(3, 2, dropped=1)) == [
        "1 lost, 1 of them within a run, lossless",
        "1 counted as dropped, 0 behind a STOP, lossless",
    ]


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
    assert journals.faults(page(3, 2), is_over=True) == ["3 counted as sent, 2 begun"]
    assert journals.faults(page(1, 2)) == ["1 counted as sent, 2 were"]
    assert "1 counted as taken, 2 were received" in journals.faults(page(2, 1), is_over=True)
    assert "4 counted as taken, 2 were received" in journals.faults(page(4, 4), is_over=True)


def test_behind_a_stop_a_reader_may_go_before_its_sender(journals: Journals) -> None:
    journals.sent(1, 9)
    journals.got(11, (1, 0))
    assert journals.faults(page(1, 1), is_over=True) == []
    assert journals.faults(page(1, 1), is_over=True, was_killed=True) == ["1 counted as sent, 9 were"]


def told(checks: ModuleType, journals: Journals, restarts: int = 0, *, has_failed: bool = False) -> list[str]:
    """What `rx` was not told; the mapper was restarted so often."""
    lives = {part: checks.lives_of(journals.folder, part) for part in checks.PARTS}
    counted = dict.fromkeys(checks.SOURCES, 0) | {"mapper": restarts}
    return checks.untold(checks.Account({}, lives), counted, has_failed=has_failed)


def hears(journals: Journals, *entries: tuple[str, str, str | int]) -> None:
    """`rx` notes these: kind, port or node, PID."""
    sources = journals.checks.SOURCES
    ports = journals.checks.ports_of("rx")
    about = {"RESTARTED", "FAILED"}
    journals.write(
        "rx",
        11,
        *[(k, ports[0] if k in about else at, sources.index(at) if k in about else pid, 0) for k, at, pid in entries],
    )


def test_reader_must_hear_of_each_restart_once(checks: ModuleType, journals: Journals) -> None:
    hears(journals, ("RESTARTED", "mapper", 0), ("RESTARTED", "mapper", 0))
    assert told(checks, journals, 2) == []
    for count in (1, 3):
        assert told(checks, journals, count) == [f"rx was told of 2 restarts of mapper, there were {count}"]


def test_message_that_overtakes_the_word_of_its_restart_is_found(checks: ModuleType, journals: Journals) -> None:
    for pid in (1, 2):
        journals.write("mapper", pid)
    hears(journals, ("GOT", "map", 1), ("GOT", "map", 2), ("RESTARTED", "mapper", 0))
    assert told(checks, journals, 1) == ["rx got a message of run 1 of mapper after 0 NODE_RESTARTED"]


@pytest.mark.parametrize(
    ("kinds", "fault"),
    [
        (("GOT", "CLOSED", "RECOVERED", "GOT"), None),
        (("GOT", "CLOSED", "GOT"), "rx was told of a silence in the wrong order: entry 4 of the journal after 6"),
        (
            ("CLOSED", "CLOSED", "RECOVERED"),
            "rx was told of a silence in the wrong order: entry 6 of the journal after 6",
        ),
        (("GOT", "RECOVERED"), "rx was told of a silence in the wrong order: entry 9 of the journal after 4"),
        (("GOT", "CLOSED"), "rx was not told that the map came again"),
    ],
)
def test_silence_is_told_and_taken_back(
    checks: ModuleType, journals: Journals, kinds: tuple[str, ...], fault: str | None
) -> None:
    journals.write("mapper", 1)
    hears(journals, *[(kind, "map", 1) for kind in kinds])
    assert told(checks, journals) == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("kinds", "is_right"),
    [
        (("GOT", "FAILED", "CLOSED"), True),
        (("GOT", "CLOSED", "FAILED"), False),
        (("FAILED", "CLOSED", "GOT"), False),
        (("GOT", "FAILED"), False),
        (("GOT", "FAILED", "FAILED", "CLOSED"), False),
    ],
)
def test_end_of_a_node_is_told_once_behind_its_last_message(
    checks: ModuleType, journals: Journals, kinds: tuple[str, ...], is_right: bool
) -> None:
    journals.write("once", 1)
    hears(journals, *[(kind, "once", 1) for kind in kinds])
    assert (told(checks, journals, has_failed=True) == []) == is_right


def test_dynamic_reader_misses_what_came_before_it_and_nothing_within_its_run(checks: ModuleType) -> None:
    counts = checks.Tally(begun=9, sent=9, got=1, missing=8, misplaced=0, orphaned=0, faults=())
    feed = checks.PARTS["plot"].feeds["state"]
    ends = checks.Ends(reader=1, sender=0, is_dynamic=True)
    assert checks._faults(counts, page(9, 1), feed, ends, checks.RUNNING) == []
    assert checks._faults(counts._replace(misplaced=1), page(9, 1), feed, ends, checks.RUNNING) == [
        "1 missing, at most 0 may be"
    ]


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `benchmarks/chaos_sizes.py`."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return __import__("chaos_sizes")


@pytest.mark.parametrize(
    ("field", "by", "said"),
    [("fds", 1, "leaks"), ("maps", 1, "leaks"), ("private_kb", 1001, "grows"), ("wake_ups", 2, "leaks")],
)
def test_whatever_a_process_keeps_is_found(sizes: ModuleType, field: str, by: int, said: str) -> None:
    then = sizes.Size(fds=20, private_kb=20_000, shared_kb=900, maps=6)
    now = then._replace(**{field: getattr(then, field) + by})
    assert sizes.grown({"rx": then}, {"rx": then}) == []
    assert [text.split(":")[0] for text in sizes.grown({"rx": then}, {"rx": now})] == [f"rx {said}"]


def test_arena_that_keeps_chunks_nobody_uses_is_found(sizes: ModuleType) -> None:
    size = sizes.Size(fds=20, private_kb=20_000, shared_kb=sizes.ARENAS_KB["camera"], maps=2)
    assert sizes.too_large("camera", size) == []
    assert len(sizes.too_large("camera", size._replace(shared_kb=size.shared_kb + 1))) == 1


def test_array_that_changes_while_it_is_kept_is_noted(
    checks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAOS_JOURNALS", str(tmp_path))
    monkeypatch.setenv("CHAOS_PORTS", '{"model": ["frame"]}')
    kept = checks.j.Kept(checks.j.Journal("model"), 1)
    arrays = [checks.j.Message(100).next()[1] for _ in range(3)]
    for array in arrays[:2]:
        kept.keep("frame", SimpleNamespace(to_numpy=lambda array=array: array))
    arrays[1][:] = 7
    kept.keep("frame", SimpleNamespace(to_numpy=lambda: arrays[2]))
    (life,) = checks.lives_of(tmp_path, "model")
    assert life.count(checks.j.BAD) == 1
