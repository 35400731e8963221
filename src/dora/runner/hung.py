"""Finds nodes that hang: in user code, work waiting, no call to dora for longer than allowed (design.md 11.12).

Strategy: a node that waits for rare data, or computes within its time, is never one.  What waits is known since it was
first seen waiting with no call in between, so a look now and then suffices.
"""

from __future__ import annotations

from typing import NamedTuple


class NodeActivity(NamedTuple):
    """What the counters page says of a node.

    Attributes:
        is_in_dora: a thread of it waits in a receive or in a send; `is_receiving`: in a receive.
        last_call_ns: its last call, CLOCK_MONOTONIC; 0 before the first.
        next_tick_ns: when its next tick is due, or 0.
        is_source: it has no inputs at all.
        unread: messages for it that were neither dropped nor taken.
    """

    is_in_dora: bool
    is_receiving: bool
    last_call_ns: int
    calls: int
    next_tick_ns: int
    is_source: bool
    unread: int


class HungWatch:
    """One node with a `health_check_timeout`."""

    def __init__(self, timeout_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._calls = -1
        self._unmoved_since_ns = 0
        self._waiting_since_ns: int | None = None
        self._orphans: int | None = None

    def forget(self) -> None:
        """Nobody ran for a while, or a new run of the node begins: start anew."""
        self._calls = -1
        self._orphans = None

    def is_hung(self, activity: NodeActivity, now_ns: int) -> bool:
        """Whether it hangs, as of now.

        What is unread while the node waits for messages will never be read: it was left between two processes that
        died, and says nothing of the node.
        """
        if activity.is_receiving:
            self._orphans = min(activity.unread, activity.unread if self._orphans is None else self._orphans)
        if activity.calls != self._calls or activity.is_in_dora or not activity.last_call_ns:
            self._calls = activity.calls
            self._unmoved_since_ns = now_ns
            self._waiting_since_ns = None
            return False
        if activity.unread <= (self._orphans or 0):
            self._waiting_since_ns = None
        elif self._waiting_since_ns is None:
            self._waiting_since_ns = now_ns
        limit_ns = now_ns - self._timeout_ns
        if max(self._unmoved_since_ns, activity.last_call_ns) > limit_ns:
            return False
        has_old_message = self._waiting_since_ns is not None and self._waiting_since_ns <= limit_ns
        has_old_tick = 0 < activity.next_tick_ns <= limit_ns
        return activity.is_source or has_old_message or has_old_tick
