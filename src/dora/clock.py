"""The clock of message timestamps: a hybrid logical clock over the wall clock.

It never goes back and never gives the same instant twice in one process, and it never lags behind
a timestamp that was received (Kulkarni et al., "Logical Physical Clocks", 2014).  Time-outs and
timers do not use it: they run on CLOCK_MONOTONIC, which a step of the system clock does not touch.
"""

from __future__ import annotations

import time


class HybridClock:
    """Nanoseconds since 1970-01-01 UTC, strictly increasing."""

    __slots__ = ("_last_ns",)

    def __init__(self) -> None:
        self._last_ns = 0

    def now_ns(self) -> int:
        """The next timestamp."""
        now = time.time_ns()
        if now <= self._last_ns:
            now = self._last_ns + 1
        self._last_ns = now
        return now

    def observe(self, received_ns: int) -> None:
        """Take note of a timestamp from elsewhere."""
        if received_ns > self._last_ns:
            self._last_ns = received_ns
