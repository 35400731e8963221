"""The burst rule for inputs that state nothing (design.md 11.7).

A burst is a run of more than `queue_size` sends on one output with less than 0.5 ms of the sender's own CPU time
and no voluntary context switch between return and next call.  Only a send in a burst waits for room, in
all at most 500 ms plus 5 % of the output's age.  CPU time, not wall time: with four busy processes beside
it a wall-clock rule took a preempted burst for a paced sender and lost messages.

The clock is read once per send, at its begin; the send's own time counts to the gap unless it was long (`leave`).
"""

from __future__ import annotations

import resource
import threading
import time
from typing import Final

_GAP_S: Final = 0.0005
_FIRST_BUDGET_NS: Final = 500_000_000
_SHARE: Final = 20  # one twentieth: 5 %


class BurstRule:
    """Of one output.  The output's lock guards it."""

    def __init__(self) -> None:
        self._cpu_s = 0.0
        self._switches = -1
        self._thread = 0
        self._run = 0
        self._born_ns = time.monotonic_ns()
        self._waited_ns = 0

    def enter(self) -> None:
        """A send begins."""
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        cpu_s = usage.ru_utime + usage.ru_stime
        switches = usage.ru_nvcsw
        thread = threading.get_ident()
        is_close = cpu_s - self._cpu_s < _GAP_S and switches == self._switches and thread == self._thread
        self._run = self._run + 1 if is_close else 1
        self._cpu_s = cpu_s
        self._switches = switches
        self._thread = thread

    def leave(self) -> None:
        """A send returns that copied much or waited: its own time and waits are no gap."""
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        self._cpu_s = usage.ru_utime + usage.ru_stime
        self._switches = usage.ru_nvcsw

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
