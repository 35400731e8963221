"""Which nodes hang, from what the counters page shows."""

from __future__ import annotations

import pytest

from dora.runner.hung import HungWatch, NodeActivity

SECOND_NS = 1_000_000_000
TIMEOUT_S = 3

IN_USER_CODE = NodeActivity(
    is_in_dora=False,
    is_receiving=False,
    last_call_ns=SECOND_NS,
    calls=5,
    next_tick_ns=0,
    is_source=False,
    unread=0,
)


def hangs(activity: NodeActivity, until_s: int = 10) -> int | None:
    """The second at which a node that stays like this is found to hang."""
    watch = HungWatch(TIMEOUT_S * SECOND_NS)
    return next((now_s for now_s in range(1, until_s) if watch.is_hung(activity, now_s * SECOND_NS)), None)


@pytest.mark.parametrize(
    ("activity", "second"),
    [
        (IN_USER_CODE, None),
        (IN_USER_CODE._replace(unread=1), 5),
        (IN_USER_CODE._replace(next_tick_ns=2 * SECOND_NS), 5),
        (IN_USER_CODE._replace(is_source=True), 4),
        (IN_USER_CODE._replace(unread=1, is_in_dora=True), None),
        (IN_USER_CODE._replace(unread=1, last_call_ns=0), None),
        (IN_USER_CODE._replace(unread=1, last_call_ns=4 * SECOND_NS), 7),
    ],
)
def test_a_node_hangs_when_work_waits_and_it_does_not_call(activity: NodeActivity, second: int | None) -> None:
    assert hangs(activity) == second


def test_a_node_that_calls_now_and_then_does_not_hang() -> None:
    watch = HungWatch(TIMEOUT_S * SECOND_NS)
    busy = [IN_USER_CODE._replace(unread=1, calls=now_s // 2) for now_s in range(20)]
    assert not any(watch.is_hung(activity, now_s * SECOND_NS) for now_s, activity in enumerate(busy))


def test_messages_that_come_late_are_given_their_time() -> None:
    watch = HungWatch(TIMEOUT_S * SECOND_NS)
    found = [watch.is_hung(IN_USER_CODE._replace(unread=int(now_s >= 10)), now_s * SECOND_NS) for now_s in range(15)]
    assert found.index(True) == 13


def test_what_was_unread_while_the_node_waited_says_nothing_of_it() -> None:
    watch = HungWatch(TIMEOUT_S * SECOND_NS)
    orphaned = IN_USER_CODE._replace(unread=3)
    assert not watch.is_hung(orphaned._replace(is_in_dora=True, is_receiving=True), SECOND_NS)
    assert not any(watch.is_hung(orphaned, now_s * SECOND_NS) for now_s in range(2, 20))
    waiting = orphaned._replace(unread=4)
    assert [watch.is_hung(waiting, now_s * SECOND_NS) for now_s in (20, 22, 23)] == [False, False, True]


def test_message_that_comes_while_the_node_is_looked_at_is_no_orphan() -> None:
    watch = HungWatch(TIMEOUT_S * SECOND_NS)
    receiving = IN_USER_CODE._replace(is_in_dora=True, is_receiving=True)
    for unread in (1, 0, 2):
        watch.is_hung(receiving._replace(unread=unread), SECOND_NS)
    found = [watch.is_hung(IN_USER_CODE._replace(unread=1), now_s * SECOND_NS) for now_s in range(2, 8)]
    assert found.index(True) == 3


def test_new_run_of_a_node_has_orphans_of_its_own() -> None:
    watch = HungWatch(TIMEOUT_S * SECOND_NS)
    watch.is_hung(IN_USER_CODE._replace(unread=5, is_in_dora=True, is_receiving=True), SECOND_NS)
    watch.forget()
    assert any(watch.is_hung(IN_USER_CODE._replace(unread=5), now_s * SECOND_NS) for now_s in range(2, 10))


def test_time_in_which_nobody_ran_does_not_count() -> None:
    watch = HungWatch(TIMEOUT_S * SECOND_NS)
    source = IN_USER_CODE._replace(is_source=True)
    assert not watch.is_hung(source, 1 * SECOND_NS)
    watch.forget()
    assert not watch.is_hung(source, 60 * SECOND_NS)
    assert watch.is_hung(source, 64 * SECOND_NS)
