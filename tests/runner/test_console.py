"""The console: never in the way of the caller, nothing lost in silence."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from dora.logs.entry import LogEntry, plain_entries
from dora.runner.console import LIMIT_BYTES, Console, ConsoleOptions


class Reader:
    """The other end of a file descriptor that a console writes to."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        self._parts: list[bytes] = []
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def leave(self) -> None:
        """Close the reading end, as `head` does."""
        os.close(self.read_fd)
        self.read_fd = -1

    def text(self) -> str:
        """All that was written; call it when the console is closed."""
        os.close(self.write_fd)
        self.write_fd = -1
        if self._thread is not None:
            self._thread.join()
        return b"".join(self._parts).decode()

    def close(self) -> None:
        if self.write_fd >= 0:
            self.text()
        if self.read_fd >= 0:
            self.leave()

    def _read(self) -> None:
        while part := os.read(self.read_fd, 1 << 16):
            self._parts.append(part)


@pytest.fixture
def out() -> Iterator[Reader]:
    with contextlib.closing(Reader()) as reader:
        yield reader


@pytest.fixture
def err() -> Iterator[Reader]:
    with contextlib.closing(Reader()) as reader:
        yield reader


ERASE = "\r\x1b[2K"


def entry(message: str, level: str = "stdout", node: str = "n") -> LogEntry:
    return LogEntry(0, level, node, "stdout", message, None, None, message)


def console(out: Reader, err: Reader, **options: object) -> Console:
    return Console(ConsoleOptions(**options), stdout_fd=out.write_fd, stderr_fd=err.write_fd)  # type: ignore[arg-type]


def said(text: str) -> list[str]:
    """The lines of pretty output without time, level and node."""
    return [line.split(": ", 1)[1] for line in text.splitlines()]


def wait_until(is_met: Callable[[], bool]) -> None:
    while not is_met():
        time.sleep(0)  # lets the writer thread have the interpreter


def fill(shown: Console) -> int:
    """Give lines until some are skipped; returns how many were given."""
    lines = plain_entries(0, "n", "stdout", ["x" * 960] * 100)
    given = 0
    while not shown.skipped_lines:
        shown.entries(lines)
        given += len(lines)
    return given


def test_close_waits_until_everything_is_written(out: Reader, err: Reader) -> None:
    shown = console(out, err)
    out.start()
    for number in range(10_000):
        shown.entry(entry(str(number)))
    shown.close()
    assert said(out.text()) == [str(number) for number in range(10_000)]


def test_close_of_a_console_that_said_nothing_returns(out: Reader, err: Reader) -> None:
    console(out, err).close()


@pytest.mark.timeout(20)  # a caller who waits would wait for ever
def test_reader_that_stops_does_not_stop_the_caller(out: Reader, err: Reader) -> None:
    shown = console(out, err)
    given = fill(shown)
    assert 8 << 20 < given * 1024 < 9 << 20
    out.start()
    shown.close()
    lines = said(out.text())
    assert lines[-1] == (
        f"{shown.skipped_lines} lines are not shown: the output is not read fast enough (the log files have them)"
    )
    assert len(lines) == given - shown.skipped_lines + 1


def test_number_of_skipped_lines_stands_where_they_are_missing(out: Reader, err: Reader) -> None:
    shown = console(out, err)
    fill(shown)
    skipped = shown.skipped_lines
    out.start()
    wait_until(lambda: shown._waiting_bytes <= LIMIT_BYTES // 2)
    shown.entry(entry("after"))
    shown.close()
    assert [line.split()[0] for line in said(out.text())][-2:] == [str(skipped), "after"]


def test_quiet_console_skips_without_a_word(out: Reader, err: Reader) -> None:
    shown = console(out, err, is_quiet=True)
    fill(shown)
    out.start()
    shown.close()
    assert set(said(out.text())) == {"x" * 960}


def test_closed_stdout_discards_what_is_meant_for_it(out: Reader, err: Reader) -> None:
    shown = console(out, err)
    out.leave()
    err.start()
    while not shown.is_stdout_closed:
        shown.entries(plain_entries(0, "n", "stdout", ["x" * 1000] * 1000))
    shown.system("still here")
    shown.note("the report")
    shown.close()
    assert err.text() == "the report\n"


def test_stdout_keeps_its_flags(out: Reader, err: Reader) -> None:
    shown = console(out, err)
    out.start()
    shown.entry(entry("x"))
    shown.close()
    assert os.get_blocking(out.write_fd)


def test_stdout_that_somebody_made_non_blocking_gets_everything(out: Reader, err: Reader) -> None:
    os.set_blocking(out.write_fd, False)
    shown = console(out, err)
    shown.entries(plain_entries(0, "n", "stdout", ["x" * 1000] * 2000))
    out.start()
    shown.close()
    assert len(out.text().splitlines()) == 2000


def test_keyboard_interrupt_ends_the_wait_of_close(out: Reader, err: Reader) -> None:
    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    shown = console(out, err)
    shown.entries(plain_entries(0, "n", "stdout", ["x" * 1000] * 2000))
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with pytest.raises(KeyboardInterrupt):
        shown.close()
    signal.signal(signal.SIGALRM, before)
    out.start()
    shown.close()
    out.text()


def test_lines_below_the_level_are_hidden(out: Reader, err: Reader) -> None:
    shown = console(out, err, level="warn", filters={"loud": "stdout"})
    out.start()
    shown.entry(entry("raw"))
    shown.entries([entry("info", "info"), entry("error", "error")])
    shown.entry(entry("raw of loud", node="loud"))
    shown.system("our info")
    shown.system("our warning", "warn")
    shown.close()
    assert said(out.text()) == ["error", "raw of loud", "our warning"]


def test_quiet_console_prints_lines_of_nodes_and_notes_only(out: Reader, err: Reader) -> None:
    shown = console(out, err, is_quiet=True)
    out.start()
    err.start()
    shown.system("ours", "error")
    shown.entry(entry("theirs"))
    shown.note("the report")
    shown.close()
    assert said(out.text()) == ["theirs"]
    assert err.text() == "the report\n"


def test_note_after_close_is_printed(out: Reader, err: Reader) -> None:
    shown = console(out, err)
    err.start()
    shown.close()
    shown.note("the report")
    assert err.text() == "the report\n"


def test_json_output_is_nothing_but_json_lines(out: Reader, err: Reader) -> None:
    shown = console(out, err, format="json", dataflow_id="uuid")
    out.start()
    shown.entry(entry("theirs"))
    shown.system("ours", node="n")
    shown.close()
    lines = [json.loads(line) for line in out.text().splitlines()]
    assert [(line["node_id"], line["message"], line["dataflow_id"]) for line in lines] == [
        ("n", "theirs", "uuid"),
        ("n", "ours", "uuid"),
    ]


def test_status_line_is_erased_before_lines_of_nodes_on_a_terminal(err: Reader) -> None:
    shown = Console(ConsoleOptions(is_terminal=True), stdout_fd=err.write_fd, stderr_fd=err.write_fd)
    err.start()
    shown.status("starting: waiting for camera")
    wait_until(lambda: shown._drawn_status is not None)
    shown.entry(entry("theirs"))
    shown.close()
    before, after = err.text().split(ERASE, 2)[1:]
    assert before.endswith("starting: waiting for camera")
    assert after.splitlines()[0].endswith(": theirs")


def test_status_line_is_gone_after_close(err: Reader) -> None:
    shown = Console(ConsoleOptions(is_terminal=True), stdout_fd=err.write_fd, stderr_fd=err.write_fd)
    err.start()
    shown.status("starting: waiting for camera")
    wait_until(lambda: shown._drawn_status is not None)
    shown.close()
    assert err.text().endswith(ERASE)


def test_failure_of_the_writer_is_raised_by_close(out: Reader, err: Reader) -> None:
    shown = console(out, err)
    shown.entry(entry("x")._replace(ts_ns="noon"))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        shown.close()


def test_console_loads_neither_rich_nor_msgspec() -> None:
    code = "import sys, dora.runner.console, dora.runner.progress; print({'rich', 'msgspec'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
