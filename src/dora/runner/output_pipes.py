"""What the nodes print: drained always, stored in the log files, shown on the console.

Strategy: one read of at most 64 KiB per turn of the loop and pipe, so that a node that prints as fast as it can does
not keep the others waiting.  When a process ends, what its pipes still hold is taken before anybody is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from dora.logs.entry import LogEntry
from dora.runner.console import Console
from dora.runner.launch import OutputFds
from dora.runner.logs import NodeLog
from dora.runner.reactor import Reactor

_READ_BYTES: Final = 64 * 1024
_LAST_READS: Final = 64
"""a process outside the node's group may hold the pipe and go on printing: it is not waited for"""


class OutputPipes:
    """Stdout and stderr of all running nodes.

    Args:
        on_entries: is told of every batch after it was stored, for `send_logs_as` and `dora/logs`.
    """

    def __init__(
        self,
        reactor: Reactor,
        console: Console,
        logs: Mapping[str, NodeLog],
        on_entries: Callable[[list[LogEntry]], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._console = console
        self._logs = logs
        self._on_entries = on_entries
        self._open: dict[str, dict[int, str]] = {}

    def attach(self, node: str, fds: OutputFds) -> None:
        """A process of the node was asked for: read what it prints."""
        self.finish(node)
        self._logs[node].forget_stderr()
        self._open[node] = {fds.stdout: "stdout", fds.stderr: "stderr"}
        for fd, stream in self._open[node].items():
            self._reactor.add_reader(fd, partial(self._read, node, fd, stream))

    def finish(self, node: str) -> None:
        """The node's process has ended: take the rest and close its pipes."""
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

    def _read(self, node: str, fd: int, stream: str) -> bool:
        """One turn; False when there is nothing to read now or any more."""
        try:
            data = os.read(fd, _READ_BYTES)
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
