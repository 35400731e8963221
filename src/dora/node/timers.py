"""Timers live in the receiving node: a due time in its wait, no message, no process.

Tick k is due at start + round(k * period) on CLOCK_MONOTONIC, its value is k; ticks missed while the node was busy
are skipped, so at most one waits (design.md 11.14).  A period need not be whole: 30 Hz do not drift.
"""

from __future__ import annotations

import ctypes
import os
import struct
import time
from typing import Final

_libc = ctypes.PyDLL(None, use_errno=True)
_CLOCK_MONOTONIC: Final = 1
_TFD_TIMER_ABSTIME: Final = 1
_SPEC: Final = struct.Struct("<qqqq")
_SECOND: Final = 1_000_000_000


class Timer:
    """One timer input.

    Attributes:
        input: the input's id.
        due_ns: when the next tick is due, CLOCK_MONOTONIC.
    """

    __slots__ = ("_period_ns", "_start_ns", "due_ns", "input", "served")

    def __init__(self, input_id: str, period_ns: float) -> None:
        self.input = input_id
        self._period_ns = max(1, period_ns)
        self._start_ns = 0
        self.due_ns = 0
        self.served = 0

    def start(self, start_ns: int) -> None:
        """Set the origin: tick 0 is due then."""
        self._start_ns = self.due_ns = start_ns

    def take(self, now_ns: int) -> int | None:
        """The count of the newest tick that is due, or None."""
        if now_ns < self.due_ns:
            return None
        count = int((now_ns - self._start_ns) // self._period_ns)
        self.due_ns = self._due_ns(count + 1)
        if now_ns >= self.due_ns:  # rounded down
            count += 1
            self.due_ns = self._due_ns(count + 1)
        return count

    def _due_ns(self, count: int) -> int:
        return self._start_ns + round(count * self._period_ns)


class AlarmClock:
    """A timerfd: a descriptor that is readable from a given time on."""

    def __init__(self) -> None:
        # os.timerfd_create exists from Python 3.13 only
        self.fd = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "cannot make a timer (limit: `ulimit -n`)")

    def ring_at(self, due_ns: int) -> None:
        """Be readable from that time on, and not before."""
        spec = _SPEC.pack(0, 0, due_ns // _SECOND, due_ns % _SECOND or 1)
        _libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, spec, None)

    def close(self) -> None:
        """Give the descriptor back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


monotonic_ns: Final = time.monotonic_ns
