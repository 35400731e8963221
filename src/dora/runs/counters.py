"""The counters of a run, read from outside: what was sent, dropped and taken on every edge, for nothing."""

from __future__ import annotations

from typing import Final

from dora.messages import runner_daemon as messages
from dora.runs.link import RunnerLink
from dora.transport.control import close_all
from dora.transport.counters import SIZE_BYTES, EdgeCounts, read_edge
from dora.transport.receiving import Mapping


class CountersView:
    """The page, mapped for reading; asks for it over `link`."""

    def __init__(self, link: RunnerLink) -> None:
        _, fds = link.ask_for_fds(messages.GetCounters(), messages.Counters)
        self._page: Final = Mapping(fds[0], SIZE_BYTES)
        self._words: Final = self._page.view.cast("Q")

    def edge(self, slot: int) -> EdgeCounts:
        """One edge, now."""
        return read_edge(self._words, slot)

    def close(self) -> None:
        """Read no more."""
        self._words.release()


def count_unread(link: RunnerLink, tap: int, node: str, output: str) -> int:
    """Let an output that nobody reads be counted until the link closes; returns its place in the counters page.

    A tap that is never read: its sender keeps one message in a queue and counts the others as dropped.
    """
    link.ask(messages.Tap(tap, node, output, 1), messages.Done)
    while True:
        arrived = link.next_arrived(None)
        assert arrived is not None  # it waits without a limit
        close_all(arrived.fds)
        if isinstance(arrived.message, messages.TapEdge) and arrived.message.tap == tap:
            return arrived.message.edge.slot
