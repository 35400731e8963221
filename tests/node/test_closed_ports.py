"""What the process of operators adds to a node's link: single inputs and outputs that close, words to the runner."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from dora.messages import node_runner as m
from dora.node.receiver import END
from dora.node.runtime import NodeOutside
from node.fake_runner import FakeRunner


def take_all(outside: NodeOutside) -> list[Any]:
    """All that is there, in a few words."""
    found: list[Any] = []
    while (taken := outside.take()) is not None and taken is not END:
        value = taken["value"]
        found.append((taken["type"], taken["id"], None if value is None else value.to_pylist()))
    return found


def test_closed_input_is_not_delivered_any_more_and_its_messages_are_let_go(runner: FakeRunner) -> None:
    first, second = runner.feed("a/x"), runner.feed("b/x")
    outside = NodeOutside(runner.node())
    first.send(1, 2)
    second.send(3)
    outside.close_ports(["a/x"], [])
    first.end()
    assert take_all(outside) == [("INPUT", "b/x", [3])]
    assert outside.is_closed("a/x")
    assert not outside.is_closed("b/x")


def test_closed_timer_ticks_no_more(runner: FakeRunner) -> None:
    runner.timer("a/t", 1)
    runner.feed("b/x")
    outside = NodeOutside(runner.node())
    assert outside.is_timer("a/t")
    assert [kind for kind, _, _ in [take_all_once(outside)]] == ["INPUT"]
    outside.close_ports(["a/t"], [])
    assert take_all(outside) == []
    assert runner.counts.next_tick_ns == 0


def take_all_once(outside: NodeOutside) -> Any:
    """One event; a timer without pause would never end."""
    event = outside.take()
    assert isinstance(event, dict)
    return event["type"], event["id"], event["value"]


def test_edge_for_a_closed_input_is_given_back(runner: FakeRunner) -> None:
    runner.feed("a/x")
    runner.feed("b/x")
    outside = NodeOutside(runner.node())
    outside.close_ports(["a/x"], [])
    before = len(os.listdir("/proc/self/fd"))
    runner.feed("a/x").send(1)
    assert take_all(outside) == []
    assert len(os.listdir("/proc/self/fd")) <= before + 4  # the test's own ends


def test_stream_ends_when_the_last_input_was_closed(runner: FakeRunner) -> None:
    runner.feed("a/x")
    runner.timer("a/t", 1)
    outside = NodeOutside(runner.node())
    outside.close_ports(["a/x", "a/t"], [])
    assert outside.take() is END


def test_stream_ends_when_the_inputs_that_are_left_are_closed(runner: FakeRunner) -> None:
    feed = runner.feed("a/x")
    runner.timer("b/t", 1_000_000_000_000)
    node = runner.node()
    outside = NodeOutside(node)
    feed.finish()
    outside.take()
    outside.take()
    outside.close_ports(["b/t"], [])
    assert take_all(outside)[-1] == ("STOP", "ALL_INPUTS_CLOSED", None)
    assert outside.take() is END


def test_runner_is_told_which_ports_have_closed(runner: FakeRunner) -> None:
    runner.feed("a/x")
    runner.output("a/out")
    outside = NodeOutside(runner.node())
    outside.close_ports(["a/x"], ["a/out"])
    assert runner.hear() == m.PortsClosed(["a/x"], ["a/out"])


def test_readers_get_what_was_sent_before_the_output_closed(runner: FakeRunner) -> None:
    sink = runner.sink("a/out")
    outside = NodeOutside(runner.node())
    outside.send("a/out", b"x", None)
    outside.close_ports([], ["a/out"])
    assert sink.take()["value"].to_pylist() == [120]


def test_runner_is_asked_to_stop_all(runner: FakeRunner) -> None:
    NodeOutside(runner.node()).stop_all("operator `a` returned STOP_ALL")
    assert runner.hear() == m.StopAll("operator `a` returned STOP_ALL")


def test_output_has_readers_once_the_runner_says_so(runner: FakeRunner) -> None:
    runner.output("a/out")
    outside = NodeOutside(runner.node())
    assert not outside.has_readers("a/out")
    runner.sink("a/out")
    assert outside.has_readers("a/out")


def test_wait_ends_when_it_was_woken_before(runner: FakeRunner) -> None:
    runner.feed("a/x")
    outside = NodeOutside(runner.node())
    outside.wake()
    assert outside.wait(None) is None


def test_wait_ends_when_another_thread_wakes_it(runner: FakeRunner) -> None:
    runner.feed("a/x")
    outside = NodeOutside(runner.node())

    def wake() -> None:
        runner.wait_until_receiving()
        outside.wake()

    thread = threading.Thread(target=wake)
    thread.start()
    assert outside.wait(None) is None
    thread.join()


@pytest.mark.parametrize("unwanted", [True, False])
def test_messages_within_the_process_carry_the_time_unless_it_is_unwanted(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch, unwanted: bool
) -> None:
    if unwanted:
        monkeypatch.setenv("DORA_NO_TIMESTAMP", "1")
    outside = NodeOutside(runner.node())
    metadata: dict[str, Any] = {}
    outside.stamp(metadata)
    assert ("timestamp" in metadata) is not unwanted
    given: dict[str, Any] = {"timestamp": 5}
    outside.stamp(given)
    assert given == {"timestamp": 5}


def test_words_to_the_runner_wait_until_it_listens(runner: FakeRunner) -> None:
    """The socket is full for a while: nothing is lost."""
    node = runner.node()
    count = 3000
    heard: list[Any] = []

    listener = threading.Thread(target=lambda: heard.extend(runner.hear() for _ in range(count)))
    listener.start()
    for number in range(count):
        node._link.say(m.StopAll(str(number)))
    listener.join()
    assert [message.reason for message in heard] == [str(number) for number in range(count)]
