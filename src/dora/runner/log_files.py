"""The log file of one node: JSON lines, rotation, and a disk that may be full.

One object per line (dora dataflow-yaml, section 15.2):
`{"ts": RFC 3339 with milliseconds, "level", "node", "stream", "msg", "target", "fields"}`.

Strategy: one write per batch.  A failure never reaches the caller: the file is cut back to whole lines, one
warning is given, lines are skipped and counted, and once a second a batch is tried again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dora.logs.encoding import encode_file_lines, encode_plain_file_lines
from dora.logs.entry import LogEntry

RETRY_S: Final = 1.0


def _ignore(_: str) -> None:
    """Takes a warning that nobody wants."""


def first_only(warn: Callable[[str], None]) -> Callable[[str], None]:
    """Passes one warning on, ever: the log files of a run share their disk, and what is told of one goes for all."""
    told: list[str] = []

    def tell(text: str) -> None:
        if not told:
            told.append(text)
            warn(text)

    return tell


class LogFile:
    """Appends to `log_<node>.jsonl`; nothing it does raises OSError.

    Attributes:
        path: the file that is written now; rotated ones are `log_<node>.1.jsonl` (newest) and so on.
        lost_lines: lines that could not be stored so far.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        max_size_bytes: int | None = None,
        max_rotated_files: int = 5,
        *,
        warn: Callable[[str], None] = _ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = Path(path)
        self.lost_lines = 0
        self._max_size_bytes = max_size_bytes
        self._max_rotated_files = max_rotated_files
        self._warn = warn
        self._clock = clock
        self._fd: int | None = None
        self._size_bytes = 0
        self._retry_at_s: float | None = None
        self._lost_before = 0
        try:
            self._open()
        except OSError as error:
            self._fail(error, 0)

    def append_plain(self, ts_ns: int, node: str, stream: str, lines: Sequence[str]) -> None:
        """Store raw lines that were read at the same moment."""
        if not lines or not self._is_worth_trying(len(lines)):
            return
        self._append(encode_plain_file_lines(ts_ns, node, stream, lines), len(lines))

    def append(self, entries: Sequence[LogEntry]) -> None:
        """Store entries of any kind, in order."""
        if entries and self._is_worth_trying(len(entries)):
            self._append(encode_file_lines(entries), len(entries))

    def close(self) -> None:
        """Close the file; a later append opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _append(self, block: bytes, line_count: int) -> None:
        try:
            if self._fd is None:
                self._open()
            self._write_rotating(block)
        except OSError as error:
            self._fail(error, line_count)
        else:
            self._recover()

    def _write_rotating(self, block: bytes) -> None:
        limit = self._max_size_bytes
        if limit is None or self._size_bytes + len(block) < limit:
            return self._write(block)
        start = 0
        while start < len(block):
            reaches_limit_at = start + max(limit - self._size_bytes - 1, 0)
            newline = block.find(b"\n", reaches_limit_at)
            end = newline + 1 if newline >= 0 else len(block)
            self._write(block[start:end])
            start = end
            if self._size_bytes >= limit:
                self._rotate()
        return None

    def _write(self, block: bytes) -> None:
        """Write all of it or, as far as the disk allows, none of it."""
        fd = self._fd
        assert fd is not None  # opened by the caller
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, self._size_bytes)
            raise
        self._size_bytes += len(block)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._fd = fd
        self._size_bytes = os.fstat(fd).st_size

    def _rotate(self) -> None:
        self.close()
        if self._max_rotated_files < 1:
            self.path.unlink(missing_ok=True)
        for number in range(self._max_rotated_files, 0, -1):
            older = self._rotated(number)
            newer = self._rotated(number - 1) if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
        self._open()

    def _rotated(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.stem}.{number}{self.path.suffix}")

    def _is_worth_trying(self, line_count: int) -> bool:
        if self._retry_at_s is None or self._clock() >= self._retry_at_s:
            return True
        self.lost_lines += line_count
        return False

    def _fail(self, error: OSError, line_count: int) -> None:
        if self._retry_at_s is None:
            self._lost_before = self.lost_lines
            self._warn(f"log file {self.path}: {error.strerror or error}; lines are not stored until it works again")
        self.lost_lines += line_count
        self._retry_at_s = self._clock() + RETRY_S

    def _recover(self) -> None:
        if self._retry_at_s is not None:
            self._retry_at_s = None
            self._warn(f"log file {self.path}: works again, {self.lost_lines - self._lost_before} lines are missing")
