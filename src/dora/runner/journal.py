"""The console of a run that has none: what the build says and warnings go where dora's own lines of a run are kept.

Strategy: what nodes print is in their log files anyway, and the rules' notes are in the `RunLog`; only what is said
elsewhere would be lost.  Errors before there is a folder for logs are the business of the run's record.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dora.logs.entry import LogEntry
from dora.logs.places import OWN, file_of
from dora.runner.log_files import LogFile

_MAX_SIZE_BYTES: Final = 4 << 20
_MAX_ROTATED: Final = 1


class Journal:
    """What `Console` is to a run in the foreground."""

    def __init__(self, log_dir: Path) -> None:
        self._file = LogFile(file_of(log_dir, OWN), _MAX_SIZE_BYTES, _MAX_ROTATED)
        self.skipped_lines: Final = 0

    def entries(self, entries: Sequence[LogEntry]) -> None:
        """They are in their log file."""

    def system(self, text: str, level: str = "info", node: str | None = None) -> None:
        """Keep a line of dora's own, about the whole dataflow or one node."""
        self._append(level, text, node or OWN)

    def note(self, text: str) -> None:
        """Keep text."""
        for line in text.splitlines():
            self._append("warn", line, OWN)

    def status(self, text: str | None) -> None:
        """Nobody looks."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, level: str, text: str, node: str) -> None:
        self._file.append([LogEntry(time.time_ns(), level, node, "stdout", text, None, None, text)])
