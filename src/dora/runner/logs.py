"""What the runner does with the output of one node: lines, entries, file, level filter.

Strategy: `feed` takes what one read gave and does everything for it at once: one split, one batch for the
file, one list of entries.  When no line of the batch starts like a JSON object, nothing is parsed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from dora.dataflow.descriptor import LogSettings
from dora.logs.encoding import parse_structured
from dora.logs.entry import LogEntry as LogEntry
from dora.logs.entry import plain_entries
from dora.logs.levels import STDOUT, passes
from dora.runner.log_files import LogFile
from dora.runner.log_lines import TRUNCATED, LineSplitter

STDERR: Final = "stderr"
TAIL_LINES: Final = 500
TAIL_LINE_CHARACTERS: Final = 4096

_REPLACEMENT: Final = "\ufffd"


class NodeLog:
    """The output of one node, over all of its restarts.

    Args:
        on_line: called with every line and its `\\n` before any filter, for `send_stdout_as`; None: not wanted.
        warn: takes one warning when the node prints bytes that are not UTF-8.
        clock: nanoseconds since 1970.
    """

    def __init__(
        self,
        node: str,
        file: LogFile,
        settings: LogSettings,
        *,
        on_line: Callable[[str], None] | None = None,
        warn: Callable[[str], None] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.node: Final = node
        self.file: Final = file
        self._minimum = settings.min_log_level
        self._on_line = on_line
        self._warn = warn
        self._clock = clock
        self._splitters: dict[str, LineSplitter] = {}
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def feed(self, stream: str, data: bytes) -> list[LogEntry]:
        """The entries of the lines that `data` completes, already stored; those below `min_log_level` left out."""
        splitter = self._splitters.get(stream)
        if splitter is None:
            splitter = self._splitters[stream] = LineSplitter()
        now_ns = self._clock()
        return self._take(stream, splitter.feed(data, now_ns), now_ns, ends_with_newline=True)

    def close(self, stream: str) -> list[LogEntry]:
        """The entry of a last line without a line end; the next run of the node may feed this stream again."""
        splitter = self._splitters.pop(stream, None)
        if splitter is None:
            return []
        now_ns = self._clock()
        return self._take(stream, splitter.close(now_ns), now_ns, ends_with_newline=False)

    def stderr_tail(self) -> list[str]:
        """The last lines on stderr of this run of the node, at most 500."""
        return list(self._tail)

    def forget_stderr(self) -> None:
        """Empty the tail; call it before the node is started again."""
        self._tail.clear()

    def _take(self, stream: str, lines: list[str], now_ns: int, *, ends_with_newline: bool) -> list[LogEntry]:
        if not lines:
            return []
        if stream == STDERR:
            self._tail.extend(map(_short, lines[-TAIL_LINES:]))
        if self._on_line is not None:
            for line in lines:
                self._on_line(f"{line}\n" if ends_with_newline else line)
        if self._warn is not None and any(_REPLACEMENT in line for line in lines):
            self._warn(f"{self.node}: its {stream} is not UTF-8; such bytes are shown as {_REPLACEMENT}")
            self._warn = None
        if any(line[:1] == "{" for line in lines):
            return self._take_structured(stream, lines, now_ns)
        if not passes(STDOUT, self._minimum):
            return []
        self.file.append_plain(now_ns, self.node, stream, lines)
        return plain_entries(now_ns, self.node, stream, lines)

    def _take_structured(self, stream: str, lines: list[str], now_ns: int) -> list[LogEntry]:
        entries: list[LogEntry] = []
        for line in lines:
            entry = parse_structured(line, self.node, stream)
            if entry is None:
                entry = LogEntry(now_ns, STDOUT, self.node, stream, line, None, None, line)
            if passes(entry.level, self._minimum):
                entries.append(entry)
        self.file.append(entries)
        return entries


def _short(line: str) -> str:
    return line if len(line) <= TAIL_LINE_CHARACTERS else line[:TAIL_LINE_CHARACTERS] + TRUNCATED
