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
        self.pipes = OutputPipes(self.reactor, self.console, {"a": self.log}, self.seen.extend)
        self.stdout = self.stderr = -1

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


def test_the_next_run_of_a_node_starts_with_an_empty_stderr_tail(printer: Printer) -> None:
    os.write(printer.stderr, b"first run\n")
    printer.end()
    printer.pipes.finish("a")
    printer.start()
    os.write(printer.stderr, b"second run\n")
    printer.end()
    printer.pipes.finish("a")
    assert printer.log.stderr_tail() == ["second run"]
