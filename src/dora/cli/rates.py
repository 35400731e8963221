"""How often outputs send, from the counters that nodes keep anyway.

Strategy: an edge's counters say how many messages were sent and when the last one was.  Between two looks that saw
something, n messages took the time between their last ones: one interval, exactly, when n is 1, else the mean of n.  So
averages are exact at any rate, and extremes as far as the looks are close enough.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

NS_PER_MS: Final = 1_000_000


class Reading(NamedTuple):
    """An output's counters: messages sent, and when the last was, on CLOCK_MONOTONIC."""

    sent: int
    last_ns: int


class Rate(NamedTuple):
    """Intervals between messages, in ms; None with fewer than two messages."""

    name: str
    avg_ms: float | None
    avg_hz: float | None
    min_ms: float | None
    max_ms: float | None
    std_ms: float | None
    samples: int


class _Step(NamedTuple):
    at_s: float
    messages: int
    span_ns: int


class Rates:
    """Of several outputs, over the last `window_s` seconds."""

    def __init__(self, names: Sequence[str], *, window_s: float) -> None:
        self._names = list(names)
        self._window_s = window_s
        self._last: list[Reading | None] = [None] * len(names)
        self._steps: list[deque[_Step]] = [deque() for _ in names]

    def note(self, readings: Sequence[Reading], now_s: float) -> None:
        """The counters as they are now."""
        for index, reading in enumerate(readings):
            last = self._last[index]
            steps = self._steps[index]
            if last is None or reading.sent < last.sent or (last.last_ns == 0 and reading.sent):
                self._last[index] = reading
            elif reading.sent > last.sent:
                steps.append(_Step(now_s, reading.sent - last.sent, reading.last_ns - last.last_ns))
                self._last[index] = reading
            while steps and steps[0].at_s < now_s - self._window_s:
                steps.popleft()

    def rates(self) -> list[Rate]:
        """All outputs together, then each."""
        each = [_rate(name, steps) for name, steps in zip(self._names, self._steps, strict=True)]
        all_hz = sum(rate.avg_hz or 0.0 for rate in each)
        samples = sum(rate.samples for rate in each)
        together = Rate("ALL", 1000 / all_hz if all_hz else None, all_hz or None, None, None, None, samples)
        return [together, *each]


def _rate(name: str, steps: deque[_Step]) -> Rate:
    samples = sum(step.messages for step in steps)
    if not samples:
        return Rate(name, None, None, None, None, None, 0)
    avg_ms = sum(step.span_ns for step in steps) / samples / NS_PER_MS
    means = [(step.span_ns / step.messages / NS_PER_MS, step.messages) for step in steps]
    variance = sum(count * (mean - avg_ms) ** 2 for mean, count in means) / samples
    shortest, longest = min(means)[0], max(means)[0]
    return Rate(name, avg_ms, 1000 / avg_ms if avg_ms else None, shortest, longest, math.sqrt(variance), samples)


COLUMNS: Final = ("topic", "avg_ms", "avg_hz", "min_ms", "max_ms", "std_ms", "samples")


def cells(rate: Rate) -> list[str]:
    """As text, two decimals, `-` for what is not known."""
    return [rate.name, *("-" if value is None else f"{value:.2f}" for value in rate[1:6]), str(rate.samples)]
