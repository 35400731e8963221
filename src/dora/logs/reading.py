"""Reads the log files of one run: filtered, of all nodes merged by time, while it goes on, across rotation.

Strategy: `NodeFile` reads one node's files, oldest first, and remembers how far it came; a file is known by its inode,
so a rotation between two looks changes nothing.  Files are opened from the newest to the oldest: rotation moves them
that way, so none is missed and one that is met twice is known.  `RunReader` merges nodes by a time that never steps
back within a node: when the system's clock does, a node's lines still stay in order.  Whole lines only are
taken; the last ones (`--tail`) are read from the end, so that a large file costs nothing.

It is used by whoever shows logs: `dora logs --local` and the background service.
"""

from __future__ import annotations

import heapq
import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dora.logs.encoding import decode_file_line
from dora.logs.entry import LogEntry
from dora.logs.levels import STDOUT, hint, passes
from dora.logs.places import OWN, LogsNotFoundError, Run, file_of, files_of_nodes

_BLOCK_BYTES: Final = 256 * 1024
_Timed = tuple[int, int, LogEntry]
"""time that never steps back within a node, number of the node, entry: the order of the merge"""


@dataclass(frozen=True)
class LogQuery:
    """Which entries are wanted.

    Attributes:
        nodes: None: all.  dora's own lines about a node belong to that node, too.
        since_ns, until_ns: since 1970.
        grep: part of the message, the node or the target, in any case of letters.
        level: as `--log-level`.
        filters: level per node; wins over `level`.
        tail: only the last that many of all nodes together.
    """

    nodes: frozenset[str] | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    grep: str = ""
    level: str = STDOUT
    filters: Mapping[str, str] = field(default_factory=dict)
    tail: int | None = None

    def accepts(self, entry: LogEntry) -> bool:
        """Whether the entry is wanted; `tail` is not its business."""
        if self.since_ns is not None and entry.ts_ns < self.since_ns:
            return False
        if self.until_ns is not None and entry.ts_ns > self.until_ns:
            return False
        if self.nodes is not None and entry.node not in self.nodes:
            return False
        if not passes(entry.level, self.filters.get(entry.node, self.level)):
            return False
        return not self.grep or self._is_found_in(entry)

    def _is_found_in(self, entry: LogEntry) -> bool:
        wanted = self.grep.casefold()
        return any(wanted in text.casefold() for text in (entry.message, entry.node, entry.target or ""))


class NodeFile:
    """The log of one node, from its oldest file to the one that is written now.

    Attributes:
        damaged_lines: lines that are no log entries.
        has_gap: files were rotated away before they could be read.
    """

    def __init__(self, folder: Path, node: str) -> None:
        self.damaged_lines = 0
        self.has_gap = False
        self._folder = folder
        self._node = node
        self._files: deque[int] = deque()
        self._inode: int | None = None
        self._rest = b""

    def news(self) -> Iterator[LogEntry]:
        """All entries that were there at the first `next` and were not given before."""
        if not self._files or self._is_rotated_away():
            self._open_newer()
        end = os.fstat(self._files[-1]).st_size if self._files else 0  # a node may print faster than we read
        while len(self._files) > 1:
            yield from self._read_on(self._files[0], None)
            self._drop_oldest()
        if self._files:
            yield from self._read_on(self._files[0], end)

    def last(self, count: int, query: LogQuery) -> list[LogEntry]:
        """The last entries that are wanted, oldest first; `news` goes on behind them."""
        self._open_newer()
        found: list[LogEntry] = []
        for place, fd in enumerate(reversed(self._files)):
            end = _end_of_lines(fd)
            if place == 0:
                os.lseek(fd, end, os.SEEK_SET)
            for line in _lines_backward(fd, end):
                if len(found) >= count:
                    break
                entry = self._entry(line)
                if entry is not None and query.accepts(entry):
                    found.append(entry)
        while len(self._files) > 1:
            os.close(self._files.popleft())
        return found[::-1]

    def close(self) -> None:
        """Give the descriptors back."""
        while self._files:
            os.close(self._files.popleft())

    def _read_on(self, fd: int, end: int | None) -> Iterator[LogEntry]:
        """From where the last reading ended, to `end` or the end of the file."""
        left = _BLOCK_BYTES if end is None else end - os.lseek(fd, 0, os.SEEK_CUR)
        while left > 0 and (block := os.read(fd, min(_BLOCK_BYTES, left))):
            left -= len(block) if end is not None else 0
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                entry = self._entry(line)
                if entry is not None:
                    yield entry

    def _entry(self, line: bytes) -> LogEntry | None:
        entry = decode_file_line(line, self._node)
        if entry is None:
            self.damaged_lines += bool(line.strip())
        elif self._node == OWN and entry.node == OWN:
            entry = entry._replace(node="")
        return entry

    def _drop_oldest(self) -> None:
        if self._rest:  # its writer was killed, or the disk was full, in the middle of a line
            self.damaged_lines += 1
            self._rest = b""
        os.close(self._files.popleft())

    def _is_rotated_away(self) -> bool:
        try:
            return os.stat(file_of(self._folder, self._node)).st_ino != self._inode
        except OSError:
            return False  # in the middle of a rotation, or removed

    def _open_newer(self) -> None:
        """Open what is newer than the newest file so far, all files at first."""
        newer: list[int] = []
        inodes: list[int] = []
        number = 0
        is_known_found = False
        while number <= files_of_nodes(self._folder).get(self._node, 0) and not is_known_found:
            try:
                fd = os.open(file_of(self._folder, self._node, number), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                number += 1
                continue
            inode = os.fstat(fd).st_ino
            is_known_found = inode == self._inode
            if is_known_found or inode in inodes:
                os.close(fd)
            else:
                newer.append(fd)
                inodes.append(inode)
            number += 1
        self.has_gap = self.has_gap or (self._inode is not None and bool(newer) and not is_known_found)
        self._files.extend(reversed(newer))
        if inodes:
            self._inode = inodes[0]


class RunReader:
    """The entries of one run.

    Attributes:
        nodes: that have a log.
    """

    def __init__(self, run: Run, query: LogQuery) -> None:
        """Raises LogsNotFoundError when a node that is asked for has no log."""
        self._run = run
        self._query = query
        self.nodes: tuple[str, ...] = ()
        self._files: dict[str, NodeFile] = {}
        self._latest_ns: dict[str, int] = {}
        self._find_files()
        for node in sorted([*(query.nodes or ()), *query.filters]):
            if node not in self.nodes:
                known = ", ".join(self.nodes) or "none"
                near = hint(node, self.nodes)
                raise LogsNotFoundError(f"no node {node!r} in the logs of {run.id} (has: {known}){near}")

    def history(self) -> Iterator[LogEntry]:
        """What is there now, by time: all of it, or the last `tail` entries."""
        streams = [self._timed(number, node) for number, node in enumerate(self._files)]
        merged = heapq.merge(*streams)
        if self._query.tail is None:
            return (entry for _, _, entry in merged)
        return iter([entry for _, _, entry in deque(merged, maxlen=self._query.tail)])

    def news(self) -> list[LogEntry]:
        """What has come since `history` or the last call, by time."""
        self._find_files()
        found: list[_Timed] = []
        for number, node in enumerate(self._files):
            found += self._keyed(number, node, self._files[node].news())
        return [entry for _, _, entry in sorted(found, key=lambda timed: timed[0])]

    def complaints(self) -> list[str]:
        """What could not be read, a sentence each."""
        told = []
        for node, file in self._files.items():
            if file.damaged_lines:
                told.append(f"{file.damaged_lines} lines in the log of {node} are no log entries and are left out")
            if file.has_gap:
                told.append(f"the log of {node} was rotated away before it was read: lines may be missing")
        return told

    def close(self) -> None:
        """Give the descriptors back."""
        for file in self._files.values():
            file.close()

    def _find_files(self) -> None:
        found = files_of_nodes(self._run.folder)
        self.nodes = tuple(sorted(found.keys() - {OWN}))
        for node in sorted(found.keys() - self._files.keys()):
            if self._query.nodes is None or node in self._query.nodes or node == OWN:
                self._files[node] = NodeFile(self._run.folder, node)

    def _timed(self, number: int, node: str) -> Iterator[_Timed]:
        file, tail = self._files[node], self._query.tail
        return self._keyed(number, node, file.news() if tail is None else iter(file.last(tail, self._query)))

    def _keyed(self, number: int, node: str, entries: Iterator[LogEntry]) -> Iterator[_Timed]:
        latest_ns = self._latest_ns.get(node, 0)
        for entry in entries:
            latest_ns = max(latest_ns, entry.ts_ns)
            if self._query.accepts(entry):
                yield latest_ns, number, entry
        self._latest_ns[node] = latest_ns


def _end_of_lines(fd: int) -> int:
    """Where the last whole line ends."""
    end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _lines_backward(fd: int, end: int) -> Iterator[bytes]:
    """The lines before `end`, where one ends, the last first."""
    rest: list[bytes] = []
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        first, *lines = os.pread(fd, end - start, start).split(b"\n")
        if lines:
            lines[-1] += b"".join(reversed(rest))
            yield from (line for line in reversed(lines) if line)
            rest = []
        rest.append(first)
        end = start
    if rest:
        yield b"".join(reversed(rest))
