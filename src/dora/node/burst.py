"""The burst rule for inputs that state nothing (design.md 11.7).

A burst is a run of more than `queue_size` sends on one output with less than 0.5 ms of the sender's own CPU time
and no voluntary context switch between return and next call.  Only a send in a burst waits for room, in
all at most 500 ms plus 5 % of the output's age.  CPU time, not wall time: with four busy processes beside
it a wall-clock rule took a preempted burst for a paced sender and lost messages.

A gap of less than 0.5 ms by the wall clock is one by CPU time too, so within a burst only the wall clock is read
(60 ns).  A longer gap is looked at closely, after the message is on its way unless the queue may be full: a sleep
shows as a voluntary switch, work as CPU time, and what is neither is preemption, which ends no burst.  CPU time is the
thread's clock: that of RUSAGE_THREAD moves in ticks of up to 4 ms.  But that clock also counts what an interrupt
handler or the hypervisor takes, so one such gap is let pass in any ten sends.  Sleeps within short gaps are looked for
when it matters, when the queue is full: a few are the kernel's own (a pipe's mutex), a paced sender has one in nearly
every gap.
"""

from __future__ import annotations

import resource
import threading
import time
from typing import Final

_GAP_NS: Final = 500_000
_FIRST_BUDGET_NS: Final = 500_000_000
_SHARE: Final = 20  # one twentieth: 5 %
_HICCUP_NS: Final = 10_000_000
_SENDS_PER_HICCUP: Final = 10
_GAPS_PER_SLEEP: Final = 4


class BurstRule:
    """Of one output.  The output's lock guards it.

    Attributes:
        run: sends of the present run so far, the present one included.
        is_unsure: the present one came after a gap that may have been a pause; a `finish` must follow.
    """

    def __init__(self) -> None:
        self.run = 0
        self._thread = 0
        self.is_unsure = False
        self._left_ns = 0
        self._gap_began_ns = 0
        self._sampled_ns = 0
        self._cpu_ns = 0
        self._switches = -1
        self._hiccup_run = -_SENDS_PER_HICCUP
        self._born_ns = time.monotonic_ns()
        self._waited_ns = 0

    def enter(self) -> None:
        """A send begins."""
        if self.is_unsure:
            self._decide()  # the last send ended early
        now_ns = time.monotonic_ns()
        thread = threading.get_ident()
        if thread == self._thread:
            self.run += 1
            self.is_unsure = now_ns - self._left_ns >= _GAP_NS
        else:
            self._begin_run()
            self._thread = thread
        self._gap_began_ns = self._left_ns
        self._left_ns = now_ns

    def finish(self) -> None:
        """A send is done that `is_unsure`, was the first of a run, or took long: its own time is no gap."""
        if self.is_unsure:
            self._decide()
        else:
            self.leave()

    def leave(self) -> None:
        """A send returns that was the first of a run, or long, or waited: its own time is no gap."""
        self._sample(_switches())

    def _sample(self, switches: int) -> None:
        self._left_ns = self._sampled_ns = time.monotonic_ns()
        self._cpu_ns = time.thread_time_ns()
        self._switches = switches

    def _begin_run(self) -> None:
        self.run = 1
        self._hiccup_run = -_SENDS_PER_HICCUP

    def _decide(self) -> None:
        """Whether in the gap before this send, long by the clock, the thread neither slept nor worked: no gap then."""
        self.is_unsure = False
        switches = _switches()
        if switches != self._switches or self._has_worked():
            self._begin_run()
        self._sample(switches)

    def _has_worked(self) -> bool:
        sending_ns = time.monotonic_ns() - self._left_ns
        worked_ns = time.thread_time_ns() - self._cpu_ns - (self._gap_began_ns - self._sampled_ns) - sending_ns
        if worked_ns < _GAP_NS:
            return False
        if worked_ns > _HICCUP_NS or self.run - self._hiccup_run <= _SENDS_PER_HICCUP:
            return True
        self._hiccup_run = self.run - 1
        return False

    def is_burst(self, queue_size: int) -> bool:
        """Whether the present send belongs to a burst for a queue of that size, as far as the clock tells."""
        if self.is_unsure and self.run > queue_size:
            self._decide()
        return self.run > queue_size

    def has_slept(self) -> bool:
        """Whether the thread slept in many gaps of the present run, which then was none; a system call."""
        if (_switches() - self._switches) * _GAPS_PER_SLEEP <= self.run:
            return False
        self.run = 1
        return True

    def budget_ns(self) -> int:
        """How long this output may still wait."""
        age = time.monotonic_ns() - self._born_ns
        return _FIRST_BUDGET_NS + age // _SHARE - self._waited_ns

    def count_wait(self, waited_ns: int) -> None:
        """Take the time of a wait off the budget."""
        self._waited_ns += waited_ns


def _switches() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
