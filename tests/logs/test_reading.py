"""Reading log files: order, filters, rotation, files that grow, torn lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora.logs.entry import LogEntry, plain_entries
from dora.logs.places import LogsNotFoundError, Run, file_of
from dora.logs.reading import LogQuery, NodeFile, RunReader
from dora.runner.log_files import LogFile

MS = 1_000_000


class Folder:
    """Log files as the runner writes them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, LogFile] = {}

    def file(self, node: str, **limits: int) -> LogFile:
        if node not in self._files:
            self._files[node] = LogFile(file_of(self.path, node), **limits)
        return self._files[node]

    def put(self, node: str, ts_ms: int, *lines: str) -> None:
        self.file(node).append_plain(ts_ms * MS, node, "stdout", lines)

    def entry(self, node: str, level: str, message: str, **more: object) -> None:
        self.file(node).append([LogEntry(0, level, node, "stdout", message, None, None, "")._replace(**more)])

    def reader(self, **query: object) -> RunReader:
        return RunReader(Run("id", self.path, 0), LogQuery(**query))

    def history(self, **query: object) -> list[str]:
        with closing(self.reader(**query)) as reader:
            return [entry.message for entry in reader.history()]

    def close(self) -> None:
        for file in self._files.values():
            file.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "out" / "id")
    yield made
    made.close()


def messages(entries: Iterator[LogEntry] | list[LogEntry]) -> list[str]:
    return [entry.message for entry in entries]


def test_all_nodes_are_merged_by_time(folder: Folder) -> None:
    folder.put("a", 1, "a1")
    folder.put("b", 2, "b2")
    folder.put("a", 3, "a3")
    assert folder.history() == ["a1", "b2", "a3"]


def test_lines_of_a_node_stay_in_order_when_the_clock_steps_back(folder: Folder) -> None:
    for ts_ms, line in ((10, "a1"), (3, "a2"), (12, "a3")):
        folder.put("a", ts_ms, line)
    folder.put("b", 11, "b")
    assert folder.history() == ["a1", "a2", "b", "a3"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"nodes": frozenset({"b"})}, ["boom"]),
        ({"since_ns": 5 * MS}, ["Boom", "boom"]),
        ({"until_ns": 1 * MS}, ["one"]),
        ({"grep": "BOOM"}, ["Boom", "boom"]),
        ({"grep": "MOTOR"}, ["boom"]),
        ({"level": "warn"}, ["boom"]),
        ({"level": "warn", "filters": {"a": "stdout"}}, ["one", "Boom", "boom"]),
        ({"tail": 2}, ["Boom", "boom"]),
        ({"tail": 1, "nodes": frozenset({"a"})}, ["Boom"]),
        ({"tail": 0}, []),
        ({"tail": 9}, ["one", "Boom", "boom"]),
    ],
)
def test_query_chooses_what_is_read(folder: Folder, query: dict[str, object], expected: list[str]) -> None:
    folder.put("a", 1, "one")
    folder.put("a", 5, "Boom")
    folder.entry("b", "error", "boom", ts_ns=6 * MS, target="motor")
    assert folder.history(**query) == expected


def test_own_lines_belong_to_the_whole_dataflow_or_to_the_node_they_are_about(folder: Folder) -> None:
    folder.put("a", 1, "one")
    folder.put("b", 2, "two")
    own = folder.file("dora")
    own.append(
        [*plain_entries(3 * MS, "dora", "stdout", ["running"]), *plain_entries(4 * MS, "a", "stdout", ["ended"])]
    )
    with closing(folder.reader()) as reader:
        assert [(entry.node, entry.message) for entry in reader.history()][2:] == [("", "running"), ("a", "ended")]
        assert reader.nodes == ("a", "b")
    assert folder.history(nodes=frozenset({"a"})) == ["one", "ended"]


def test_unknown_node_is_an_error_that_names_the_nearest(folder: Folder) -> None:
    folder.put("camera", 1, "x")
    with pytest.raises(
        LogsNotFoundError, match=r"no node 'camra' in the logs of id \(has: camera\); did you mean 'camera'"
    ):
        folder.reader(nodes=frozenset({"camra"}))


def test_rotated_files_are_read_oldest_first(folder: Folder) -> None:
    folder.file("a", max_size_bytes=200, max_rotated_files=5)
    for number in range(6):
        folder.put("a", number, f"line {number} {'x' * 60}")
    assert len(list(folder.path.iterdir())) > 2
    assert [line[:6] for line in folder.history()] == [f"line {number}" for number in range(6)]
    assert [line[:6] for line in folder.history(tail=4)] == [f"line {number}" for number in range(2, 6)]


def test_news_are_what_came_since_the_history(folder: Folder) -> None:
    folder.put("a", 1, "old")
    with closing(folder.reader()) as reader:
        assert messages(reader.history()) == ["old"]
        assert reader.news() == []
        folder.put("b", 3, "from a node that came later")
        folder.put("a", 2, "new")
        assert messages(reader.news()) == ["new", "from a node that came later"]
        assert reader.news() == []


def test_news_after_a_tail_begin_behind_it(folder: Folder) -> None:
    folder.put("a", 1, "old", "older")
    with closing(folder.reader(tail=1)) as reader:
        assert messages(reader.history()) == ["older"]
        folder.put("a", 2, "new")
        assert messages(reader.news()) == ["new"]


@given(st.lists(st.sampled_from(["line", "look"]), max_size=40), st.integers(0, 6))
def test_no_line_is_missed_or_given_twice_however_writing_and_reading_interleave(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], tail: int
) -> None:
    path = tmp_path_factory.mktemp("run")
    file = LogFile(file_of(path, "a"), max_size_bytes=300, max_rotated_files=50)
    found: list[str] = []
    written: list[str] = []
    with closing(NodeFile(path, "a")) as log:
        for step in steps:
            if step == "line":
                written.append(f"{len(written)}")
                file.append_plain(0, "a", "stdout", [written[-1]])
            else:
                found += messages(log.news())
        found += messages(log.news())
        assert found == written
        assert not log.has_gap
        assert not log.damaged_lines
    file.close()
    with closing(NodeFile(path, "a")) as log:
        assert messages(log.last(tail, LogQuery())) == (written[-tail:] if tail else [])
        assert list(log.news()) == []


def test_files_that_are_rotated_away_unread_are_told(folder: Folder) -> None:
    folder.file("a", max_size_bytes=10, max_rotated_files=1)
    folder.put("a", 1, "old")
    with closing(folder.reader()) as reader:
        assert messages(reader.history()) == ["old"]
        for number in range(4):
            folder.put("a", 2, f"new {number}")
        assert messages(reader.news()) == ["new 0", "new 3"]
        assert reader.complaints() == ["the log of a was rotated away before it was read: lines may be missing"]


def test_half_a_line_is_not_given_before_its_end(folder: Folder) -> None:
    folder.put("a", 1, "whole")
    path = file_of(folder.path, "a")
    line = path.read_bytes()
    with closing(folder.reader()) as reader:
        path.write_bytes(line + line[:20])
        assert messages(reader.history()) == ["whole"]
        path.write_bytes(line + line)
        assert messages(reader.news()) == ["whole"]
        assert reader.complaints() == []


def test_lines_that_are_no_entries_are_counted(folder: Folder) -> None:
    folder.put("a", 1, "good")
    path = file_of(folder.path, "a")
    path.write_bytes(b'\xff\x00 garbage\n[1]\n{"ts":3}\n\n' + b"[" * 100_000 + b"\n" + path.read_bytes())
    with closing(folder.reader()) as reader:
        assert messages(reader.history()) == ["good"]
        assert reader.complaints() == ["4 lines in the log of a are no log entries and are left out"]


def test_log_messages_and_lines_without_level_are_understood(folder: Folder) -> None:
    folder.put("a", 0)
    lines = [
        {"timestamp": "2026-01-01T00:00:00Z", "node_id": "a", "level": "WARN", "message": "as json", "file": "a.py"},
        {"ts": "2026-01-01T00:00:01.5Z", "msg": "bare"},
        {"ts": "2026-01-01T00:00:02", "msg": "no zone", "level": "LOUD", "stream": "stderr"},
    ]
    file_of(folder.path, "a").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with closing(folder.reader()) as reader:
        first, second, third = reader.history()
    assert (first.level, first.message, first.file) == ("warn", "as json", "a.py")
    assert (second.level, second.node, second.ts_ns % 1_000_000_000) == ("stdout", "a", 500 * MS)
    assert (third.level, third.stream) == ("stdout", "stderr")


def test_what_was_stored_is_read_again_with_all_of_it(folder: Folder) -> None:
    entry = LogEntry(5 * MS, "info", "a", "stderr", "hi\n\x00", "root", {"n": [1, None]}, "", "mod", "a.py", 3)
    folder.file("a").append([entry])
    with closing(folder.reader()) as reader:
        assert [found._replace(raw="") for found in reader.history()] == [entry]


def test_long_tail_of_long_lines_is_read_across_blocks(folder: Folder) -> None:
    lines = [f"{number} {'x' * 9000}" for number in range(100)]
    folder.put("a", 1, *lines)
    assert folder.history(tail=60) == lines[-60:]


def test_reading_ends_though_the_node_prints_faster(folder: Folder) -> None:
    folder.put("a", 1, "one", "two")
    with closing(folder.reader()) as reader:
        found = []
        for entry in reader.history():
            found.append(entry.message)
            folder.put("a", 1, "more")
    assert found == ["one", "two"]
