"""Events that are due at given times, on the real clock or on one that only moves when the node waits.

A `Schedule` is what a stand-alone node receives from: a test file or a harness fills it.  With a `SteppedClock` waiting
costs nothing: the clock jumps to what is waited for, and everything that asks it sees that time.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from dora import arrow
from dora.node.events import Event, input_event
from dora.node.receiver import END, Taken
from dora.node.timers import AlarmClock, Timer

_SOON_NS: Final = 1
_NEVER_NS: Final = 1 << 62
_NS_PER_S: Final = 1_000_000_000
_LONGEST_SLEEP_S: Final = 0.5


class Clock(Protocol):
    """Nanoseconds since the node started."""

    def now_ns(self) -> int: ...
    def wait_until(self, due_ns: int) -> None: ...


class RealClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._start_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """Since this clock was made."""
        return time.monotonic_ns() - self._start_ns

    def wait_until(self, due_ns: int) -> None:
        """Sleep; signal handlers run and may raise."""
        left_s = (due_ns - self.now_ns()) / _NS_PER_S
        if left_s > 0:
            time.sleep(min(left_s, _LONGEST_SLEEP_S))


class SteppedClock:
    """A clock that jumps: it stands still unless somebody waits.

    Attributes:
        on_step: called after each jump.
    """

    def __init__(self) -> None:
        self._now_ns = 0
        self.on_step: list[Callable[[], object]] = []

    def now_ns(self) -> int:
        """Since the start."""
        return self._now_ns

    def wait_until(self, due_ns: int) -> None:
        """Be at that time; never goes back."""
        if due_ns > self._now_ns:
            self._now_ns = due_ns
            for told in list(self.on_step):
                told()


class _Ticking(NamedTuple):
    """A timer, and when it ends."""

    timer: Timer
    end_ns: int


class Schedule:
    """What a node receives, and when.

    Args:
        timed: (nanoseconds since the start, event); events of one time come in the order in which they were added.
        clock: a `RealClock` or a `SteppedClock`.
    """

    def __init__(self, timed: Iterable[tuple[int, Event]], clock: Clock) -> None:
        self.clock: Final = clock
        self._count = itertools.count()
        self._waiting: list[tuple[int, int, Event | _Ticking]] = []
        for due_ns, event in timed:
            self._push(due_ns, event)
        self._alarm: AlarmClock | None = None

    def add(self, due_ns: int, event: Event) -> None:
        """One more event."""
        self._push(due_ns, event)
        self._set_alarm()

    def add_timer(self, input_id: str, period_ns: int, end_ns: int) -> None:
        """Ticks from the start on, before `end_ns`; as in a dataflow at most one waits, others are skipped."""
        self._push(0, _Ticking(Timer(input_id, period_ns), end_ns))
        self._set_alarm()

    def _push(self, due_ns: int, entry: Event | _Ticking) -> None:
        heapq.heappush(self._waiting, (due_ns, next(self._count), entry))

    @property
    def next_due_ns(self) -> int | None:
        """When the next event is due; None: there is none."""
        return self._waiting[0][0] if self._waiting else None

    def left(self) -> list[Event]:
        """What was not taken, in order."""
        ordered = sorted(self._waiting, key=lambda entry: entry[:2])
        return [entry for _, _, entry in ordered if isinstance(entry, Event)]

    def take(self) -> Taken:
        """The next event if it is due; END after the last."""
        due_ns = self.next_due_ns
        if due_ns is None:
            return END
        if due_ns > self.clock.now_ns():
            return None
        entry = heapq.heappop(self._waiting)[2]
        event = entry if isinstance(entry, Event) else self._tick(entry)
        self._set_alarm()
        return event

    def _tick(self, ticking: _Ticking) -> Event:
        timer = ticking.timer
        count = timer.take(self.clock.now_ns())
        if timer.due_ns < ticking.end_ns:
            self._push(timer.due_ns, ticking)
        return input_event(timer.input, arrow.tick_value(count or 0), {})

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for the next event, once and not for ever; True: look again."""
        due_ns = self.next_due_ns
        if due_ns is None:
            return True
        end_ns = due_ns if timeout_s is None else min(due_ns, self.clock.now_ns() + round(timeout_s * _NS_PER_S))
        self.clock.wait_until(end_ns)
        return self.next_due_ns is None or self.clock.now_ns() >= due_ns

    def fileno(self) -> int:
        """A descriptor that is readable when an event is due."""
        if self._alarm is None:
            self._alarm = AlarmClock()
            if isinstance(self.clock, SteppedClock):
                self.clock.on_step.append(self._set_alarm)
            self._set_alarm()
        return int(self._alarm.fd)

    def _set_alarm(self) -> None:
        if self._alarm is None or self._alarm.fd < 0:
            return
        due_ns = self.next_due_ns
        left_ns = 0 if due_ns is None else due_ns - self.clock.now_ns()
        if left_ns <= 0:
            self._alarm.ring_at(_SOON_NS)
        elif isinstance(self.clock, SteppedClock):
            self._alarm.ring_at(_NEVER_NS)
        else:
            self._alarm.ring_at(time.monotonic_ns() + left_ns)

    def close(self) -> None:
        """Give the descriptor back; whoever holds the schedule may still look at it."""
        if self._alarm is not None:
            if isinstance(self.clock, SteppedClock) and self._set_alarm in self.clock.on_step:
                self.clock.on_step.remove(self._set_alarm)
            self._alarm.close()
            self._alarm = None
