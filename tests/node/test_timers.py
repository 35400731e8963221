"""When ticks are due, and what they count (design.md 11.14)."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator

import pytest

from dora.node.timers import AlarmClock, Timer

MS = 1_000_000
START = 5_000 * MS


@pytest.fixture
def timer() -> Timer:
    """A timer of 10 ms."""
    made = Timer("tick", 10 * MS)
    made.start(START)
    return made


@pytest.fixture
def alarm() -> Iterator[AlarmClock]:
    """A clock that does not ring yet."""
    made = AlarmClock()
    yield made
    made.close()


def is_ringing(alarm: AlarmClock, timeout_s: float = 0) -> bool:
    """Whether the descriptor is readable."""
    return bool(select.select([alarm.fd], [], [], timeout_s)[0])


@pytest.mark.parametrize(
    ("asked_ms", "counts"),
    [
        ([0], [0]),
        ([-1, 0], [None, 0]),
        ([0, 5, 10, 15, 20], [0, None, 1, None, 2]),
        ([0, 9.999999, 10], [0, None, 1]),
        ([3, 13, 23], [0, 1, 2]),
        ([35], [3]),
        ([0, 55, 56, 60], [0, 5, None, 6]),
        ([0, 1_000_000_007], [0, 100_000_000]),
    ],
)
def test_ticks_count_periods_since_the_start_and_missed_ones_leave_gaps(
    timer: Timer, asked_ms: list[float], counts: list[int | None]
) -> None:
    assert [timer.take(START + round(at * MS)) for at in asked_ms] == counts


def test_next_tick_is_due_at_a_multiple_of_the_period(timer: Timer) -> None:
    timer.take(START + 37 * MS)
    assert timer.due_ns == START + 40 * MS


def test_timer_that_starts_late_gives_one_tick_at_once() -> None:
    timer = Timer("tick", 10 * MS)
    timer.start(START)
    late = START + 1_234 * MS
    assert [timer.take(late), timer.take(late), timer.take(START + 1_240 * MS)] == [123, None, 124]


def test_two_consumers_count_alike() -> None:
    first, second = Timer("a", 3 * MS), Timer("b", 3 * MS)
    first.start(START)
    second.start(START)
    first.take(START + 5 * MS)
    assert first.take(START + 100 * MS) == second.take(START + 101 * MS) == 33


def test_ticks_of_a_rate_without_a_whole_period_do_not_drift() -> None:
    timer = Timer("tick", 1e9 / 30)
    timer.start(START)
    day_ns = 86_400 * 1_000 * MS
    assert timer.take(START + day_ns) == 30 * 86_400
    assert timer.due_ns == START + day_ns + 33_333_333


@pytest.mark.parametrize("rate_hz", [3, 30, 44_100, 999_999_937 / 7])
def test_each_tick_of_a_rate_is_due_when_it_was_announced(rate_hz: float) -> None:
    timer = Timer("tick", 1e9 / rate_hz)
    timer.start(START)
    found = []
    for _ in range(1000):
        assert timer.take(timer.due_ns - 1) is None
        found.append(timer.take(timer.due_ns))
    assert found == list(range(1000))


def test_period_is_at_least_a_nanosecond() -> None:
    timer = Timer("tick", 0)
    timer.start(START)
    assert timer.take(START + 5) == 5


def test_alarm_rings_when_its_time_has_come(alarm: AlarmClock) -> None:
    alarm.ring_at(time.monotonic_ns() + MS)
    assert is_ringing(alarm, 5)


def test_alarm_rings_at_once_for_a_time_that_is_over(alarm: AlarmClock) -> None:
    alarm.ring_at(time.monotonic_ns() - MS)
    assert is_ringing(alarm)


@pytest.mark.parametrize("due_ns", [1_000_000_000, 0])
def test_alarm_rings_for_times_of_whole_seconds(alarm: AlarmClock, due_ns: int) -> None:
    alarm.ring_at(due_ns)
    assert is_ringing(alarm)


def test_alarm_is_quiet_before_its_time(alarm: AlarmClock) -> None:
    alarm.ring_at(time.monotonic_ns() + 3_600_000 * MS)
    assert not is_ringing(alarm)


def test_alarm_set_anew_forgets_its_old_time(alarm: AlarmClock) -> None:
    alarm.ring_at(time.monotonic_ns() - MS)
    alarm.ring_at(time.monotonic_ns() + 3_600_000 * MS)
    assert not is_ringing(alarm)


def test_alarm_may_be_closed_twice(alarm: AlarmClock) -> None:
    alarm.close()
    alarm.close()
    assert alarm.fd == -1
