"""What the runner itself sends: stdout lines and log entries."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dora.dataflow.descriptor import Dataflow, Input, LogSettings, LogsSource, Node, OutputSource
from dora.logs.entry import LogEntry
from dora.runner.effects import Edge, Route
from dora.runner.log_outputs import LogOutputs
from dora.runner.state.routes import routes_of
from dora.runner.wiring import Wiring
from dora.transport.counters import CountersPage
from dora.transport.pipes import RECORD, RECORD_BYTES

NODES = (
    Node("a", "a.py", outputs=("lines", "logs"), log=LogSettings(send_stdout_as="lines", send_logs_as="logs")),
    Node(
        "b",
        "b.py",
        inputs={
            "lines": Input("lines", OutputSource("a", "lines")),
            "logs": Input("logs", OutputSource("a", "logs")),
            "all": Input("all", LogsSource(None, None)),
            "warnings": Input("warnings", LogsSource("warn", None)),
            "of_a": Input("of_a", LogsSource("stdout", "a")),
        },
    ),
)


class Reader:
    """Takes texts from an edge as a node would."""

    def __init__(self, wiring: Wiring, route: Route, number: int) -> None:
        self.edge = Edge(number, route)
        self._queue, self._release, self._arena = wiring.reader(self.edge).owned
        os.set_blocking(self._queue, False)

    def take(self) -> list[str]:
        texts = []
        try:
            while record := os.read(self._queue, RECORD_BYTES):
                _, offset, size, length, _, reference, _, _, encoding, _ = RECORD.unpack(record)
                assert (length, reference, encoding) == (1, 1, 3)
                texts.append(os.pread(self._arena, size, offset)[64:].decode())
        except BlockingIOError:
            pass
        return texts

    def is_at_end(self) -> bool:
        return os.read(self._queue, 1) == b""

    def close(self) -> None:
        for fd in (self._queue, self._release, self._arena):
            os.close(fd)


class Bench:
    """Log outputs with one reader per route."""

    def __init__(self) -> None:
        self.page = CountersPage.create()
        self.wiring = Wiring()
        dataflow = Dataflow(Path("/x/dataflow.yml"), Path("/x"), NODES)
        self.outputs = LogOutputs(dataflow, "the-id", self.page, self._arena)
        self.readers: dict[str, Reader] = {}
        for number, route in enumerate(routes_of(dataflow), start=1):
            self.readers[route.input] = Reader(self.wiring, route, number)
            self.outputs.open(route.sender, route.output)
            self.outputs.add_edge(route.sender, self.wiring.writer(Edge(number, route), 0))

    def _arena(self, sender: str, output: str) -> tuple[int, int]:
        fd, size = self.wiring.arena(sender, output)
        return os.dup(fd), size

    def close(self) -> None:
        self.outputs.close()
        for reader in self.readers.values():
            reader.close()
        self.wiring.close()
        self.page.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    before = len(os.listdir("/proc/self/fd"))
    bench = Bench()
    yield bench
    bench.close()
    assert len(os.listdir("/proc/self/fd")) == before


def entry(level: str, message: str, node: str = "a") -> LogEntry:
    return LogEntry(0, level, node, "stdout", message, None, None, message)


def messages(texts: list[str]) -> list[str]:
    return [json.loads(text)["message"] for text in texts]


def test_lines_go_to_the_output_named_by_send_stdout_as(bench: Bench) -> None:
    sink = bench.outputs.line_sink("a")
    assert sink is not None
    sink("one\n")
    sink("zwei €\n")
    assert bench.readers["lines"].take() == ["one\n", "zwei €\n"]


def test_nobody_wants_the_lines_of_a_node_that_does_not_say_so(bench: Bench) -> None:
    assert bench.outputs.line_sink("b") is None


def test_only_structured_entries_go_to_the_output_named_by_send_logs_as(bench: Bench) -> None:
    bench.outputs.entries([entry("stdout", "raw"), entry("info", "structured")])
    assert messages(bench.readers["logs"].take()) == ["structured"]


@pytest.mark.parametrize(
    ("port", "expected"),
    [("all", ["raw", "note", "alarm"]), ("warnings", ["alarm"]), ("of_a", ["raw", "note", "alarm"])],
)
def test_log_inputs_get_what_their_level_and_node_let_through(bench: Bench, port: str, expected: list[str]) -> None:
    bench.outputs.entries([entry("stdout", "raw"), entry("info", "note"), entry("error", "alarm")])
    assert messages(bench.readers[port].take()) == expected


def test_a_node_never_gets_its_own_entries(bench: Bench) -> None:
    bench.outputs.entries([entry("error", "mine", node="b")])
    assert bench.readers["all"].take() == []


def test_a_reader_that_does_not_keep_up_gets_the_newest(bench: Bench) -> None:
    bench.outputs.entries([entry("info", f"{number}") for number in range(30)])
    assert messages(bench.readers["all"].take()) == [f"{number}" for number in range(20, 30)]
    counts = bench.page.edge(bench.readers["all"].edge.route.slot)
    assert (counts.sent, counts.dropped) == (30, 20)


def test_a_closed_edge_ends_after_what_is_queued(bench: Bench) -> None:
    bench.outputs.entries([entry("info", "last")])
    reader = bench.readers["logs"]
    bench.outputs.close_edge(reader.edge.route.sender, reader.edge.number)
    assert messages(reader.take()) == ["last"]
    assert reader.is_at_end()


def test_lines_for_readers_that_give_no_memory_back_are_counted_as_dropped(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("DORA_ARENA_BYTES", str(1 << 24))
    bench: Bench = request.getfixturevalue("bench")
    for _ in range(20):
        bench.outputs.entries([entry("info", "x" * 1_000_000)])
        bench.readers["all"].take()
    counts = bench.page.edge(bench.readers["all"].edge.route.slot)
    assert counts.sent == 20
    assert 4 <= counts.dropped < 20
