"""How often a node asks the kernel whether something is there."""

from __future__ import annotations

import select
import threading
import time
from typing import Any

import pytest

from dora.node.node import Node
from node.fake_runner import FakeRunner, told, wait_until


def waits_of(node: Node) -> list[float | None]:
    """The time-outs that the node gives the kernel from now on; 0 is a look."""
    receiver: Any = node._receiver
    wait, found = receiver.wait, []

    def noted(timeout_s: float | None) -> Any:
        found.append(timeout_s)
        return wait(timeout_s)

    receiver.wait = noted
    return found


@pytest.mark.timeout(10)  # a node that goes on looking at that pipe never ends
def test_pipe_at_its_end_is_looked_at_no_more(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1)
    feed.end()
    assert [told(node.try_recv()) for _ in range(2)] == ["a=1", "-"]
    assert not select.select([node], [], [], 0)[0]


def test_reader_that_sleeps_before_each_message_asks_the_kernel_once_for_each(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()

    def send_slowly() -> None:
        for number in range(6):
            runner.wait_until_receiving()
            slept_from = time.monotonic()
            wait_until(lambda began=slept_from: time.monotonic() > began + 0.001)
            feed.send(number)
            wait_until(lambda sent=number: feed.counts.taken > sent)

    sender = threading.Thread(target=send_slowly)
    sender.start()
    assert told(node.next()) == "a=0"
    waits = waits_of(node)
    assert [told(node.next()) for _ in range(5)] == [f"a={number}" for number in range(1, 6)]
    sender.join()
    assert waits == [None] * 5


def test_reader_of_a_full_queue_does_not_ask_the_kernel_who_is_next(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(0, 1)
    assert [told(node.next()), told(node.next())] == ["a=0", "a=1"]
    waits = waits_of(node)
    feed.send(*range(2, 8))
    assert [told(node.next()) for _ in range(6)] == [f"a={number}" for number in range(2, 8)]
    assert waits == []
