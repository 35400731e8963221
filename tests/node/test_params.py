"""Parameters as a node gets them: PARAM_UPDATE and PARAM_DELETED among its other events (dora node-api, section 3)."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any

import pytest

from dora.messages import node_runner as m
from dora.messages.params import text_of
from dora.node import params
from node.fake_runner import FakeRunner, wait_until
from node.test_receiver import read_to_end, told, told_until_quiet


def changed(key: str, value: Any) -> m.Param:
    return m.Param(key, text_of(value))


@pytest.mark.parametrize("value", [None, True, 5, -0.5, "x", [1, "a"], {"a": {"b": None}}, 10**30])
def test_an_update_has_key_and_value_with_its_type(runner: FakeRunner, value: Any) -> None:
    node = runner.node()
    runner.say(changed("gain", value))
    event = node.next()
    assert event == {"type": "PARAM_UPDATE", "id": "gain", "value": value, "kind": "dora"}
    assert type(event["value"]) is type(value)


def test_a_deletion_has_a_key_and_no_value(runner: FakeRunner) -> None:
    node = runner.node()
    runner.say(m.Param("gain", None))
    event = node.next()
    assert event == {"type": "PARAM_DELETED", "id": "gain", "kind": "dora"}
    assert event["value"] is None


def test_changes_keep_their_order_and_overtake_data(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1, 2)
    runner.say(changed("x", 1))
    runner.say(m.Param("y", None))
    runner.say(changed("x", 2))
    assert told_until_quiet(node) == ["PARAM_UPDATE x", "PARAM_DELETED y", "PARAM_UPDATE x", "a=1", "a=2"]


def test_what_is_set_before_the_start_is_the_first_that_a_node_gets(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    runner.say_early(changed("x", 1))
    node = runner.node()
    feed.send(1)
    assert told_until_quiet(node) == ["PARAM_UPDATE x", "a=1"]


def test_a_change_wakes_a_node_that_waits(runner: FakeRunner) -> None:
    runner.feed("a")
    node = runner.node()
    telling = threading.Thread(target=lambda: (runner.wait_until_receiving(), runner.say(changed("x", 1))))
    telling.start()
    assert told(node.next(timeout=20)) == "PARAM_UPDATE x"
    telling.join()


def test_what_was_set_before_a_stop_is_told_before_it(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1)
    runner.say(changed("x", 1))
    runner.say(m.Stop())
    runner.say(changed("too late", 1))
    assert read_to_end(node) == ["PARAM_UPDATE x", "STOP MANUAL", "a=1"]


def test_a_change_behind_the_last_event_is_told_to_nobody(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.finish()
    assert told(node.next()) == "INPUT_CLOSED a"
    runner.say(changed("x", 1))
    assert read_to_end(node) == ["STOP ALL_INPUTS_CLOSED"]


def test_drain_and_is_empty_know_of_changes(runner: FakeRunner) -> None:
    node = runner.node()
    assert node.is_empty()
    runner.say(changed("x", 1))
    assert not node.is_empty()
    assert [told(event) for event in node.drain()] == ["PARAM_UPDATE x"]
    assert node.is_empty()


def test_async_for_and_recv_async_give_changes(runner: FakeRunner) -> None:
    node = runner.node()

    async def take() -> list[str]:
        runner.say(changed("x", 1))
        found = [told(await node.recv_async())]
        runner.say(m.Param("x", None))
        async for event in node:
            found.append(told(event))
            break
        return found

    assert asyncio.run(take()) == ["PARAM_UPDATE x", "PARAM_DELETED x"]


def test_changes_come_among_external_events(runner: FakeRunner) -> None:
    node = runner.node()
    node.merge_external_events(iter(["outside"]))
    assert node.next(timeout=20) == {"kind": "external", "value": "outside"}
    runner.say(changed("x", 1))
    assert told(node.next(timeout=20)) == "PARAM_UPDATE x"


def test_a_node_that_only_sends_keeps_the_latest_change_of_each_parameter(runner: FakeRunner) -> None:
    node = runner.node()
    link = node._session.link
    for number in range(params.MOST_UNREAD // 2 + 50):
        for key in ("x", "y"):
            runner.say(changed(key, number))
        if link.has_news():
            link.pump()
    assert len(link.inbox) < 200
    events = node.drain()
    assert [(event["id"], event["value"]) for event in events[-2:]] == [("x", number), ("y", number)]
    assert [event["value"] for event in events] == sorted(event["value"] for event in events)


def test_void_changes_go_and_all_else_stays_in_order() -> None:
    entries: list[tuple[Any, list[int]]] = [
        (changed("x", 1), []),
        (m.Drained(), []),
        (changed("y", 1), []),
        (changed("x", 2), []),
        (m.Stop(), []),
        (m.Param("x", None), []),
    ]
    inbox = deque(entries)
    params.drop_void(inbox)
    assert list(inbox) == [entries[1], entries[2], entries[4], entries[5]]


def test_a_blocked_sender_takes_changes_up_at_its_next_event(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=1, is_lossless=True)
    node = runner.node()
    node.send_output("out", b"1")
    sending = threading.Thread(target=node.send_output, args=("out", b"2"))
    sending.start()
    runner.wait_until_blocked()
    runner.say(changed("x", 1))
    wait_until(lambda: sink.take() is not None)
    sending.join()
    assert told_until_quiet(node) == ["PARAM_UPDATE x"]
