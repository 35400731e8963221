"""Schedules: events at given times, on a clock that jumps and on the real one."""

from __future__ import annotations

import select

from dora.node import events
from dora.node.receiver import END
from dora.node.schedule import RealClock, Schedule, SteppedClock

MS = 1_000_000


def ready(schedule: Schedule) -> bool:
    """Whether the schedule's descriptor is readable."""
    return bool(select.select([schedule.fileno()], [], [], 0)[0])


def test_event_is_taken_once_the_clock_has_come_to_it() -> None:
    schedule = Schedule([(5 * MS, events.stop("MANUAL"))], SteppedClock())
    assert schedule.take() is None
    assert schedule.wait(None)
    assert schedule.clock.now_ns() == 5 * MS
    assert schedule.take() == events.stop("MANUAL")
    assert schedule.take() is END


def test_wait_that_ends_early_moves_the_clock_to_its_end() -> None:
    schedule = Schedule([(5 * MS, events.stop("MANUAL"))], SteppedClock())
    assert not schedule.wait(0.002)
    assert schedule.clock.now_ns() == 2 * MS


def test_events_of_one_time_come_in_the_order_in_which_they_were_added() -> None:
    first, second, third = events.input_closed("a"), events.input_closed("b"), events.stop("MANUAL")
    schedule = Schedule([(0, first), (0, second)], SteppedClock())
    schedule.add(0, third)
    assert schedule.left() == [first, second, third]
    assert [schedule.take(), schedule.take(), schedule.take()] == [first, second, third]


def test_descriptor_is_readable_while_an_event_is_due_or_the_end_is_reached() -> None:
    clock = SteppedClock()
    schedule = Schedule([(5 * MS, events.input_closed("a")), (9 * MS, events.stop("MANUAL"))], clock)
    assert not ready(schedule)
    clock.wait_until(5 * MS)
    assert ready(schedule)
    schedule.take()
    assert not ready(schedule)
    clock.wait_until(9 * MS)
    schedule.take()
    assert ready(schedule)
    schedule.close()
    assert clock.on_step == []


def test_real_clock_really_waits() -> None:
    schedule = Schedule([(5 * MS, events.stop("MANUAL"))], RealClock())
    assert not ready(schedule)
    assert select.select([schedule.fileno()], [], [], 5)[0]
    assert schedule.wait(None)
    assert schedule.take() == events.stop("MANUAL")
    schedule.close()
