"""The burst rule for inputs that state nothing (design.md 11.7).

A burst is a run of more than `queue_size` sends on one output with less than 0.5 ms of the sender's own CPU time
and no voluntary context switch between return and next call.  Only a send in a burst waits for room, in
all at most 500 ms plus 5 % of the output's age.  CPU time, not wall time: with four busy processes beside
it a wall-clock rule took a preempted burst for a paced sender and lost messages.
"""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Final

from dora.transport import libc

_RUSAGE_THREAD: Final = 1
_LONGS: Final = 18
_VOLUNTARY: Final = 16
_GAP_US: Final = 500
_FIRST_BUDGET_NS: Final = 500_000_000
_SHARE: Final = 20  # one twentieth: 5 %


class BurstRule:
    """Of one output.  The output's lock guards it."""

    def __init__(self) -> None:
        self._usage = (ctypes.c_long * _LONGS)()
        self._usage_at = ctypes.addressof(self._usage)
        self._cpu_us = 0
        self._switches = -1
        self._thread = 0
        self._run = 0
        self._born_ns = time.monotonic_ns()
        self._waited_ns = 0

    def enter(self) -> None:
        """A send begins."""
        usage = self._usage
        libc.getrusage(_RUSAGE_THREAD, self._usage_at)
        cpu_us = (usage[0] + usage[2]) * 1_000_000 + usage[1] + usage[3]
        is_close = cpu_us - self._cpu_us < _GAP_US and usage[_VOLUNTARY] == self._switches
        self._run = self._run + 1 if is_close and self._thread == threading.get_ident() else 1

    def leave(self) -> None:
        """A send returns."""
        usage = self._usage
        libc.getrusage(_RUSAGE_THREAD, self._usage_at)
        self._cpu_us = (usage[0] + usage[2]) * 1_000_000 + usage[1] + usage[3]
        self._switches = usage[_VOLUNTARY]
        self._thread = threading.get_ident()

    def is_burst(self, queue_size: int) -> bool:
        """Whether the present send belongs to a burst for a queue of that size."""
        return self._run > queue_size

    def budget_ns(self) -> int:
        """How long this output may still wait."""
        age = time.monotonic_ns() - self._born_ns
        return _FIRST_BUDGET_NS + age // _SHARE - self._waited_ns

    def count_wait(self, waited_ns: int) -> None:
        """Take the time of a wait off the budget."""
        self._waited_ns += waited_ns
