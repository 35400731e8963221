"""One line of a node as a log entry.

A named tuple and nothing that takes long to import: the console knows entries before the nodes are spawned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from dora.logs.levels import STDOUT


class LogEntry(NamedTuple):
    """What a node said.

    Attributes:
        ts_ns: time in nanoseconds since 1970: a structured line's own, else when the line was read.
        level: "stdout" for a raw line, else error, warn, info, debug or trace.
        stream: "stdout" or "stderr".
        fields: of a structured line, without `message`.
        raw: the line as it was printed, without its end.
    """

    ts_ns: int
    level: str
    node: str
    stream: str
    message: str
    target: str | None
    fields: dict[str, object] | None
    raw: str
    module_path: str | None = None
    file: str | None = None
    line: int | None = None


def plain_entries(ts_ns: int, node: str, stream: str, lines: Sequence[str]) -> list[LogEntry]:
    """The entries of raw lines that were read at the same moment."""
    new = tuple.__new__  # half the time of LogEntry(...): this is the hot loop
    return [new(LogEntry, (ts_ns, STDOUT, node, stream, line, None, None, line, None, None, None)) for line in lines]


def rfc3339(ts_ns: int, *, digits: int) -> str:
    """`2026-01-31T12:00:00.123Z`, with 3 (milliseconds) to 9 digits."""
    seconds, rest = divmod(ts_ns, 1_000_000_000)
    return f"{_second(seconds)}.{rest // 10 ** (9 - digits):0{digits}}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"  # %Y has no leading zeros
