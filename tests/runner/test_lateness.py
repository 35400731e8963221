"""Which looks of the runner come so late that nobody ran meanwhile."""

from __future__ import annotations

import pytest

from dora.runner.lateness import Lateness

SECOND_NS = 1_000_000_000
QUARTER_NS = SECOND_NS // 4


@pytest.mark.parametrize(("after_ns", "lost_ns"), [(0, 0), (5 * QUARTER_NS, 0), (6 * QUARTER_NS, 5 * QUARTER_NS)])
def test_what_is_more_than_a_second_late_was_lost(after_ns: int, lost_ns: int) -> None:
    assert Lateness(100 * SECOND_NS).lost_ns(100 * SECOND_NS + after_ns, QUARTER_NS) == lost_ns


def test_each_look_is_measured_from_the_one_before() -> None:
    lateness = Lateness(0)
    looks = [lateness.lost_ns(round(at_s * SECOND_NS), QUARTER_NS) for at_s in (0.2, 0.4, 60.4, 60.6)]
    assert looks == [0, 0, 60 * SECOND_NS - QUARTER_NS, 0]


def test_look_that_was_due_at_no_time_is_not_late() -> None:
    lateness = Lateness(0)
    assert [lateness.lost_ns(60 * SECOND_NS, None), lateness.lost_ns(60 * SECOND_NS, QUARTER_NS)] == [0, 0]
