"""`input_timeout`: what a node is told when nothing comes, and when something comes again."""

from __future__ import annotations

import time
from array import array

import pytest

from dora.messages import node_runner as m
from dora.node.silence import Silence
from dora.transport.counters import EDGE_LAST_SEND_NS
from node.fake_runner import FakeRunner, wait_until
from node.test_receiver import read_to_end, told, told_until_quiet

SECOND = 1_000_000_000
SHORT_NS = SECOND // 20


class Watched:
    """An input with an `input_timeout` of one second, on a clock of the test."""

    def __init__(self) -> None:
        self.words = memoryview(array("Q", [0] * 16))
        self.silence = Silence(SECOND, self.words)
        self.silence.place(0)

    def send(self, at_s: float) -> None:
        self.words[EDGE_LAST_SEND_NS] = round(at_s * SECOND)

    def hear(self, at_s: float) -> bool:
        self.send(at_s)
        return self.silence.note_heard(round(at_s * SECOND))

    def look(self, at_s: float, queued: int = 0) -> bool:
        return self.silence.look(round(at_s * SECOND), queued)


def test_nothing_is_watched_before_the_first_message() -> None:
    assert not Watched().look(100)


def test_silence_begins_when_the_time_is_over_and_ends_with_a_message() -> None:
    watched = Watched()
    assert not watched.hear(10)
    assert not watched.look(10.9)
    assert watched.look(11)
    assert not watched.look(12)
    assert watched.hear(13)
    assert watched.look(14)


def test_a_later_message_postpones_it() -> None:
    watched = Watched()
    watched.hear(10)
    watched.send(10.7)
    assert not watched.look(11)
    assert watched.silence.due_ns == 11.7 * SECOND
    assert watched.look(11.7)


def test_messages_that_wait_for_a_busy_node_are_no_silence() -> None:
    watched = Watched()
    watched.hear(10)
    assert not watched.look(14, queued=3)


def test_a_look_that_comes_late_is_repeated_once() -> None:
    watched = Watched()
    watched.hear(10)
    assert not watched.look(70)
    assert watched.look(71)


def test_a_node_that_looks_rarely_notices_nevertheless() -> None:
    watched = Watched()
    watched.hear(10)
    assert not watched.look(15)
    assert watched.look(20)


@pytest.fixture
def timed(runner: FakeRunner) -> FakeRunner:
    """A runner whose node has an `input_timeout` on the input `a`."""
    runner.config["input_timeouts_ns"] = {"a": SHORT_NS}
    return runner


def test_silence_closes_the_input_and_a_message_opens_it_before_it_is_given(timed: FakeRunner) -> None:
    feed = timed.feed("a")
    node = timed.node()
    feed.send(1)
    assert [told(node.next()), told(node.next())] == ["a=1", "INPUT_CLOSED a"]
    feed.send(2)
    assert [told(node.next()) for _ in range(3)] == ["INPUT_RECOVERED a", "a=2", "INPUT_CLOSED a"]


def test_silence_shows_to_those_who_do_not_wait(timed: FakeRunner) -> None:
    feed = timed.feed("a")
    node = timed.node()
    feed.send(1)
    assert told(node.next()) == "a=1"
    wait_until(lambda: not node.is_empty())
    assert told_until_quiet(node) == ["INPUT_CLOSED a"]


def test_end_of_a_silent_input_is_not_told_twice(timed: FakeRunner) -> None:
    feed = timed.feed("a")
    node = timed.node()
    feed.send(1)
    assert [told(node.next()), told(node.next())] == ["a=1", "INPUT_CLOSED a"]
    feed.finish(m.FAILED, "exit code 3")
    assert read_to_end(node) == ["NODE_FAILED camera", "STOP ALL_INPUTS_CLOSED"]


def test_silence_does_not_end_a_node_whose_other_inputs_have_closed(timed: FakeRunner) -> None:
    feed, other = timed.feed("a"), timed.feed("b")
    node = timed.node()
    feed.send(1)
    other.finish()
    found = {told(node.next()) for _ in range(3)}
    assert found == {"a=1", "INPUT_CLOSED b", "INPUT_CLOSED a"}
    feed.send(2)
    assert [told(node.next()), told(node.next())] == ["INPUT_RECOVERED a", "a=2"]


def test_messages_that_wait_while_the_node_is_busy_come_without_a_silence(timed: FakeRunner) -> None:
    feed, _ = timed.feed("a"), timed.feed("b")
    node = timed.node()
    feed.send(1)
    assert told(node.next()) == "a=1"
    feed.send(2, 3)
    due_ns = time.monotonic_ns() + 2 * SHORT_NS
    wait_until(lambda: time.monotonic_ns() > due_ns)
    assert told_until_quiet(node)[:2] == ["a=2", "a=3"]


def test_stop_ends_the_watch(timed: FakeRunner) -> None:
    feed = timed.feed("a")
    node = timed.node()
    feed.send(1)
    assert told(node.next()) == "a=1"
    timed.say(m.Stop())
    assert read_to_end(node) == ["STOP MANUAL"]


def test_stop_does_not_lose_the_message_that_ended_the_silence(timed: FakeRunner) -> None:
    feed = timed.feed("a")
    node = timed.node()
    feed.send(1)
    assert [told(node.next()), told(node.next())] == ["a=1", "INPUT_CLOSED a"]
    feed.send(2, 3)
    assert told(node.next()) == "INPUT_RECOVERED a"
    timed.say(m.Stop())
    assert read_to_end(node) == ["STOP MANUAL", "a=2", "a=3"]
