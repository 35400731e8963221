"""All that `dora run` prints: the nodes' lines on stdout, notes and the status line on stderr.

Strategy: the caller only appends to a queue; one daemon thread formats and writes, with blocking writes on
the file descriptors as they were given (O_NONBLOCK on stdout would change the terminal of the user's shell,
too).  So a terminal that is stopped, or a pager that nobody scrolls, never stalls a node.  When 8 MiB wait,
lines are skipped until half of it is written, and their number is printed in their place.  When stdout is
closed (`| head`), what was meant for it is discarded.  A quiet console prints nothing of dora's own but notes.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, Union

from dora.logs.entry import LogEntry
from dora.logs.formats import make_format
from dora.logs.levels import STDOUT, passes
from dora.runner.status_line import ERASE, StatusLine

LIMIT_BYTES: Final = 8 << 20
_LINE_OVERHEAD_BYTES: Final = 64
_WRITE_BYTES: Final = 64 << 10


class ConsoleOptions(NamedTuple):
    """What is shown and how.

    Attributes:
        format: pretty, compact or json.
        level: filter for all nodes and for dora's own lines.
        filters: level per node; wins over `level`.
        is_terminal: stdout is a terminal (the status line is erased around output).
        is_quiet: nothing of dora's own but notes.
        dataflow_id: stands in json lines.
    """

    format: str = "pretty"
    level: str = STDOUT
    filters: Mapping[str, str] = MappingProxyType({})
    is_terminal: bool = False
    is_coloured: bool = False
    is_quiet: bool = False
    dataflow_id: str | None = None


class _Lines(NamedTuple):
    entries: Sequence[LogEntry]
    size_bytes: int


class _Note(NamedTuple):
    text: str


class Console:
    """The two output streams of one run; every method returns at once, except `close`."""

    def __init__(self, options: ConsoleOptions, *, stdout_fd: int = 1, stderr_fd: int = 2) -> None:
        self.skipped_lines = 0
        self._options = options
        self._format = make_format(options.format, is_coloured=options.is_coloured, dataflow_id=options.dataflow_id)
        self._shows_everything = options.level == STDOUT and not options.filters
        self._stdout_fd: int | None = stdout_fd
        self._stderr_fd: int | None = stderr_fd
        self._lock = threading.Lock()  # never held while writing
        self._queue: deque[Union[_Lines, _Note]] = deque()
        self._waiting_bytes = 0
        self._skipped_now = 0
        self._status: str | None = None
        self._status_line = StatusLine(is_coloured=options.is_coloured)
        self._drawn_status: str | None = None
        self._is_closing = False
        self._wake = threading.Event()
        self._done = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_stdout_closed(self) -> bool:
        """Nobody reads stdout any more; what is meant for it is discarded."""
        return self._stdout_fd is None

    def entry(self, entry: LogEntry) -> None:
        """Show one line of a node, if the level filter lets it through."""
        self.entries([entry])

    def entries(self, entries: Sequence[LogEntry]) -> None:
        """Show lines of nodes, in order; cheaper than one by one."""
        shown = entries if self._shows_everything else [entry for entry in entries if self._is_shown(entry)]
        if not shown or self._stdout_fd is None or self._done.is_set():
            return
        size_bytes = sum([len(entry.message) + _LINE_OVERHEAD_BYTES for entry in shown])
        with self._lock:
            waiting = self._waiting_bytes
            if waiting and (waiting + size_bytes > LIMIT_BYTES or (self._skipped_now and waiting > LIMIT_BYTES // 2)):
                self._skipped_now += len(shown)
                self.skipped_lines += len(shown)
                return
            self._queue_skip_notice()
            self._queue.append(_Lines(shown, size_bytes))
            self._waiting_bytes += size_bytes
        self._wake_up()

    def system(self, text: str, level: str = "info", node: str | None = None) -> None:
        """Show a line of dora's own on stdout, about the whole dataflow or one node; nothing when quiet."""
        entry = _own_entry(text, level, node)
        if self._options.is_quiet or not self._is_shown(entry) or self._done.is_set():
            return
        self._queue.append(_Lines([entry], 0))
        self._wake_up()

    def note(self, text: str) -> None:
        """Print text on stderr after everything that was given before, also when quiet; after `close`, at once."""
        if self._done.is_set():
            self._write_note(text)
        else:
            self._queue.append(_Note(text))
            self._wake_up()

    def status(self, text: str | None) -> None:
        """Draw, replace or (None) erase the status line on stderr, which must be a terminal."""
        if text is not None or self._status is not None:
            self._status = text
            self._wake_up()

    def close(self) -> None:
        """Wait until everything is written; a KeyboardInterrupt ends the wait, and what is left is lost."""
        self._status = None
        self._is_closing = True
        if self._thread is not None:
            self._wake.set()
            self._done.wait()
        self._done.set()
        if self._failure is not None:
            raise self._failure

    def _is_shown(self, entry: LogEntry) -> bool:
        return passes(entry.level, self._options.filters.get(entry.node, self._options.level))

    def _wake_up(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dora-console", daemon=True)
            self._thread.start()
        if not self._wake.is_set():
            self._wake.set()

    def _queue_skip_notice(self) -> None:
        """Say how many lines were skipped; called with the lock held."""
        count, self._skipped_now = self._skipped_now, 0
        if count and not self._options.is_quiet:
            text = f"{count} lines are not shown: the output is not read fast enough (the log files have them)"
            self._queue.append(_Lines([_own_entry(text, "warn", None)], 0))

    # The rest runs on the writer thread.

    def _run(self) -> None:
        try:
            while not self._is_closing or self._queue:
                self._wake.wait()
                self._wake.clear()
                self._write_queue()
                self._show_status()
            self._write_queue()
            self._show_status()
        except BaseException as error:
            self._failure = error
        finally:
            self._done.set()

    def _write_queue(self) -> None:
        while True:
            if not self._queue:
                with self._lock:
                    self._queue_skip_notice()
                if not self._queue:
                    return
            item = self._queue.popleft()
            if isinstance(item, _Note):
                self._erase_status()
                self._write_note(item.text)
            else:
                self._write_lines(item)

    def _write_lines(self, first: _Lines) -> None:
        """Write a batch, together with the small ones behind it."""
        block = self._format(first.entries)
        size_bytes = first.size_bytes
        while len(block) < _WRITE_BYTES and self._queue and isinstance(self._queue[0], _Lines):
            item = self._queue.popleft()
            assert isinstance(item, _Lines)  # nobody else takes from the left
            block += self._format(item.entries)
            size_bytes += item.size_bytes
        if self._options.is_terminal:
            self._erase_status()
        if self._stdout_fd is not None and not _write(self._stdout_fd, block):
            self._stdout_fd = None
        with self._lock:
            self._waiting_bytes -= size_bytes

    def _write_stderr(self, block: bytes) -> None:
        if self._stderr_fd is not None and not _write(self._stderr_fd, block):
            self._stderr_fd = None

    def _write_note(self, text: str) -> None:
        self._write_stderr(text.encode("utf-8", "backslashreplace") + b"\n")

    def _show_status(self) -> None:
        text = self._status
        if text is None:
            self._erase_status()
        elif text != self._drawn_status:
            self._write_stderr(self._status_line.draw(text))
            self._drawn_status = text

    def _erase_status(self) -> None:
        if self._drawn_status is not None:
            self._write_stderr(ERASE)
            self._drawn_status = None


def _own_entry(text: str, level: str, node: str | None) -> LogEntry:
    return LogEntry(time.time_ns(), level, node or "", STDOUT, text, None, None, text)


def _write(fd: int, block: bytes) -> bool:
    """Write all of it, however long that takes; False when nobody can read it any more."""
    rest = memoryview(block)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:  # somebody else made it non-blocking
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
        except OSError:  # EPIPE: `| head` has seen enough; EIO, EBADF: the terminal is gone
            return False
    return True
