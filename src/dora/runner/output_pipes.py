"""What the nodes print: drained always, stored in the log files, shown on the console.

Strategy: one read of at most 64 KiB per turn of the loop and pipe, so that a node that prints as fast as it can does
not keep the others waiting; and what one node prints gets at most a quarter of the time of a processor, by a leaky
bucket: when it is full the node's pipes are left alone for a while, and the node waits in its `print`.  So it slows
itself only, and no line is lost.  When a process ends, what its pipes still hold is taken before anybody is told.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from dora.logs.entry import LogEntry
from dora.runner.display import Display
from dora.runner.launch import OutputFds
from dora.runner.logs import NodeLog
from dora.runner.reactor import Reactor

_READ_BYTES: Final = 64 * 1024
_READ_BYTES_FOR_NODES: Final = 8 * 1024
"""when nodes read the lines as messages: each costs 5 us then, and thousands would keep the loop from other work"""
_SHARE: Final = 4
"""a node's output gets 1/4 of the time"""
_BURST_NS: Final = 50_000_000
"""that much work is done at once, a few megabytes: no node that prints like people do is ever held up"""
_LAST_READS: Final = 64
"""a process outside the node's group may hold the pipe and go on printing: it is not waited for"""


class OutputPipes:
    """Stdout and stderr of all running nodes.

    Args:
        on_entries: as for `pass_on_to`.
        clock_ns: monotonic.
    """

    def __init__(
        self,
        reactor: Reactor,
        console: Display,
        logs: Mapping[str, NodeLog],
        on_entries: Callable[[list[LogEntry]], None] | None = None,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._reactor = reactor
        self._console = console
        self._logs = logs
        self._on_entries: Callable[[list[LogEntry]], None] | None = None
        self._clock_ns = clock_ns
        self._read_bytes = _READ_BYTES
        if on_entries is not None:
            self.pass_on_to(on_entries)
        self._open: dict[str, dict[int, str]] = {}
        self._even_at_ns: dict[str, int] = {}
        self._paused: dict[str, int] = {}

    def attach(self, node: str, fds: OutputFds) -> None:
        """A process of the node was asked for: read what it prints."""
        self.finish(node)
        self._logs[node].forget_stderr()
        self._open[node] = {fds.stdout: "stdout", fds.stderr: "stderr"}
        for fd, stream in self._open[node].items():
            self._reactor.add_reader(fd, partial(self._take_turn, node, fd, stream))

    def pass_on_to(self, on_entries: Callable[[list[LogEntry]], None]) -> None:
        """From now on tell that of every batch after it was stored, for `send_logs_as` and `dora/logs`."""
        self._on_entries = on_entries
        self._read_bytes = _READ_BYTES_FOR_NODES

    def next_due_ns(self) -> int | None:
        """When `resume` has something to do."""
        return min(self._paused.values(), default=None)

    def resume(self) -> None:
        """Read on what was left alone for long enough."""
        now_ns = self._clock_ns()
        for node in [node for node, due_ns in self._paused.items() if due_ns <= now_ns]:
            del self._paused[node]
            for fd, stream in self._open[node].items():
                self._reactor.add_reader(fd, partial(self._take_turn, node, fd, stream))

    def finish(self, node: str) -> None:
        """The node's process has ended: take the rest and close its pipes."""
        self._paused.pop(node, None)
        for fd, stream in list(self._open.get(node, {}).items()):
            for _ in range(_LAST_READS):
                if not self._read(node, fd, stream):
                    break
            if fd in self._open.get(node, {}):
                self._end(node, fd, stream)
        self._open.pop(node, None)

    def close(self) -> None:
        """Take the rest of everything."""
        for node in list(self._open):
            self.finish(node)

    def _take_turn(self, node: str, fd: int, stream: str) -> None:
        began_ns = self._clock_ns()
        self._read(node, fd, stream)
        now_ns = self._clock_ns()
        even_at_ns = max(self._even_at_ns.get(node, 0), began_ns) + _SHARE * (now_ns - began_ns)
        self._even_at_ns[node] = even_at_ns
        if even_at_ns - now_ns > _SHARE * _BURST_NS and node not in self._paused:
            self._paused[node] = even_at_ns - _SHARE * _BURST_NS
            for other in self._open[node]:
                self._reactor.remove_reader(other)

    def _read(self, node: str, fd: int, stream: str) -> bool:
        """One read; False when there is nothing to read now or any more."""
        try:
            data = os.read(fd, self._read_bytes)
        except BlockingIOError:
            return False
        if not data:
            self._end(node, fd, stream)
            return False
        self._pass_on(self._logs[node].feed(stream, data))
        return True

    def _end(self, node: str, fd: int, stream: str) -> None:
        self._reactor.remove_reader(fd)
        os.close(fd)
        self._open[node].pop(fd, None)
        self._pass_on(self._logs[node].close(stream))

    def _pass_on(self, entries: list[LogEntry]) -> None:
        if entries:
            self._console.entries(entries)
            if self._on_entries is not None:
                self._on_entries(entries)
