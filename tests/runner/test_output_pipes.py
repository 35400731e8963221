"""What nodes print is drained, stored and shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dora.dataflow.descriptor import LogSettings
from dora.logs.entry import LogEntry
from dora.runner.console import Console, ConsoleOptions
from dora.runner.launch import OutputFds
from dora.runner.log_files import LogFile
from dora.runner.logs import NodeLog
from dora.runner.output_pipes import OutputPipes
from dora.runner.reactor import Reactor


class Printer:
    """A node that prints, as its runner sees it."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[LogEntry] = []
        self.reactor = Reactor()
        self.null = os.open(os.devnull, os.O_WRONLY)
        self.console = Console(ConsoleOptions(), stdout_fd=self.null, stderr_fd=self.null)
        self.log = NodeLog("a", LogFile(folder / "log_a.jsonl"), LogSettings())
        self.now_ns = 0
        self.cost_ns = 0
        self.pipes = OutputPipes(self.reactor, self.console, {"a": self.log}, self._take, clock_ns=lambda: self.now_ns)
        self.stdout = self.stderr = -1

    def _take(self, entries: list[LogEntry]) -> None:
        self.now_ns += self.cost_ns
        self.seen.extend(entries)

    def start(self) -> None:
        reads = []
        for stream in ("stdout", "stderr"):
            read_end, write_end = os.pipe()
            os.set_blocking(read_end, False)
            reads.append(read_end)
            setattr(self, stream, write_end)
        self.pipes.attach("a", OutputFds(*reads))

    def messages(self) -> list[str]:
        return [f"{entry.stream}: {entry.message}" for entry in self.seen]

    def end(self) -> None:
        os.close(self.stdout)
        os.close(self.stderr)

    def close(self) -> None:
        self.pipes.close()
        self.reactor.close()
        self.console.close()
        self.log.file.close()
        os.close(self.null)


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[Printer]:
    before = len(os.listdir("/proc/self/fd"))
    printer = Printer(tmp_path)
    printer.start()
    yield printer
    printer.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_lines_are_passed_on_as_they_come(printer: Printer) -> None:
    os.write(printer.stdout, b"one\ntw")
    printer.reactor.wait(1.0)
    assert printer.messages() == ["stdout: one"]
    os.write(printer.stdout, b"o\n")
    printer.reactor.wait(1.0)
    assert printer.messages() == ["stdout: one", "stdout: two"]
    printer.end()


def test_the_rest_is_taken_when_the_process_has_ended(printer: Printer) -> None:
    os.write(printer.stdout, b"one\nunfinished")
    os.write(printer.stderr, b"why\n")
    printer.end()
    printer.pipes.finish("a")
    assert printer.messages() == ["stdout: one", "stdout: unfinished", "stderr: why"]
    assert printer.log.stderr_tail() == ["why"]


def test_a_pipe_that_somebody_else_keeps_open_is_not_waited_for(printer: Printer) -> None:
    os.write(printer.stdout, b"one\n")
    printer.pipes.finish("a")
    assert printer.messages() == ["stdout: one"]
    printer.end()


@pytest.fixture
def unread(printer: Printer) -> Iterator[Printer]:
    """Its console writes to a pipe that nobody reads."""
    read_end, write_end = os.pipe()
    os.dup2(write_end, printer.null)
    os.close(write_end)
    yield printer
    os.close(read_end)


@pytest.mark.slow
def test_a_console_that_nobody_reads_keeps_no_line_from_the_log_file(unread: Printer) -> None:
    os.set_blocking(unread.stdout, False)
    for _ in range(1100):  # of 8 KiB, where 8 MiB may wait
        os.write(unread.stdout, b"x" * 8191 + b"\n")
        unread.reactor.wait(1.0)
    assert unread.console.skipped_lines
    assert len(unread.seen) == 1100
    unread.end()


def test_the_next_run_of_a_node_starts_with_an_empty_stderr_tail(printer: Printer) -> None:
    os.write(printer.stderr, b"first run\n")
    printer.end()
    printer.pipes.finish("a")
    printer.start()
    os.write(printer.stderr, b"second run\n")
    printer.end()
    printer.pipes.finish("a")
    assert printer.log.stderr_tail() == ["second run"]


def print_and_read(printer: Printer, turns: int) -> int:
    """Print a line before each turn of the loop; returns how many were read."""
    before = len(printer.seen)
    for _ in range(turns):
        os.write(printer.stdout, b"line\n")
        printer.reactor.wait(0)
        printer.pipes.resume()
    return len(printer.seen) - before


def test_a_node_whose_output_costs_too_much_is_left_alone_until_it_had_its_quarter_of_the_time(
    printer: Printer,
) -> None:
    printer.cost_ns = 20_000_000
    assert print_and_read(printer, 8) == 4  # 80 ms of work, due at 320 ms; 200 ms of that may be done ahead
    due_ns = printer.pipes.next_due_ns()
    assert due_ns == 120_000_000
    printer.now_ns = due_ns
    printer.cost_ns = 0
    assert print_and_read(printer, 1) == 0
    printer.reactor.wait(0)
    assert printer.messages() == ["stdout: line"] * 9
    assert printer.pipes.next_due_ns() is None
    printer.end()


def test_the_rest_of_a_node_that_was_left_alone_is_taken_when_it_ends(printer: Printer) -> None:
    printer.cost_ns = 100_000_000
    assert print_and_read(printer, 3) == 1
    printer.end()
    printer.pipes.finish("a")
    assert printer.messages() == ["stdout: line"] * 3
    assert printer.pipes.next_due_ns() is None
