"""What a run needs of the thing that shows what it says: the console of `dora run`, or a journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dora.logs.entry import LogEntry


class Display(Protocol):
    """`Console` and `Journal`; every method returns at once, except `close`."""

    @property
    def skipped_lines(self) -> int:
        """Lines of nodes that were not shown because nobody read fast enough."""

    def entries(self, entries: Sequence[LogEntry]) -> None:
        """Show lines of nodes, in order."""

    def system(self, text: str, level: str = "info", node: str | None = None) -> None:
        """Show a line of dora's own, about the whole dataflow or one node."""

    def note(self, text: str) -> None:
        """Show text after everything that was given before."""

    def status(self, text: str | None) -> None:
        """Draw, replace or (None) erase a line that stays at the bottom."""

    def close(self) -> None:
        """Wait until everything is written."""
