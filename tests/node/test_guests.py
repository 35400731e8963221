"""What somebody outside publishes on an output that the node reads."""

from __future__ import annotations

import pytest

from dora.messages import node_runner as m
from node.fake_runner import FakeRunner, Feed
from node.test_receiver import SECOND, read_to_end, told, told_until_quiet


@pytest.fixture
def feed(runner: FakeRunner) -> Feed:
    """What the node itself sends to input `a`."""
    return runner.feed("a")


def test_what_a_guest_sends_comes_as_if_the_node_had_sent_it(runner: FakeRunner, feed: Feed) -> None:
    node = runner.node()
    guest = runner.feed("a", is_guest=True)
    feed.send(1)
    guest.send(100, metadata={"by": "hand"})
    found = {event["value"][0].as_py(): event for event in (node.try_recv(), node.try_recv())}
    assert set(found) == {1, 100}
    assert found[100]["id"] == "a"
    assert found[100]["metadata"]["by"] == "hand"


def test_a_guest_is_heard_beside_a_node_that_never_pauses(runner: FakeRunner, feed: Feed) -> None:
    node = runner.node()
    feed.send(*range(20))
    assert told(node.try_recv()) == "a=0"
    runner.feed("a", is_guest=True).send(100)
    assert "a=100" in [told(node.try_recv()) for _ in range(4)]


def test_a_thread_that_waits_wakes_for_a_guest(runner: FakeRunner, feed: Feed) -> None:
    node = runner.node()
    runner.feed("a", is_guest=True).send(100)
    assert told(node.next()) == "a=100"


def test_a_guest_that_leaves_is_read_to_its_end_and_closes_nothing(runner: FakeRunner, feed: Feed) -> None:
    node = runner.node()
    guest = runner.feed("a", is_guest=True)
    guest.send(100, 101)
    guest.finish()
    assert told_until_quiet(node) == ["a=100", "a=101"]
    feed.send(1)
    assert told_until_quiet(node) == ["a=1"]
    feed.finish()
    assert read_to_end(node) == ["INPUT_CLOSED a", "STOP ALL_INPUTS_CLOSED"]


def test_a_guest_that_is_killed_is_silence(runner: FakeRunner, feed: Feed) -> None:
    node = runner.node()
    guest = runner.feed("a", is_guest=True)
    guest.send(100)
    guest.end()
    feed.send(1)
    assert sorted(told_until_quiet(node)) == ["a=1", "a=100"]
    guest.verdict(m.CLOSED)
    feed.send(2)
    assert told_until_quiet(node) == ["a=2"]


def test_an_input_closes_after_what_guests_had_sent(runner: FakeRunner, feed: Feed) -> None:
    node = runner.node()
    guest = runner.feed("a", is_guest=True)
    guest.send(100, 101)
    feed.send(1)
    feed.finish()
    found = read_to_end(node)
    assert sorted(found[:3]) == ["a=1", "a=100", "a=101"]
    assert found[3:] == ["INPUT_CLOSED a", "STOP ALL_INPUTS_CLOSED"]


def test_what_a_guest_sends_to_a_closed_input_is_not_read(runner: FakeRunner, feed: Feed) -> None:
    other = runner.feed("b")
    node = runner.node()
    early = runner.feed("a", is_guest=True)
    feed.finish()
    assert told_until_quiet(node) == ["INPUT_CLOSED a"]
    early.send(100)
    late = runner.feed("a", is_guest=True)
    late.send(200)
    other.send(1)
    assert told_until_quiet(node) == ["b=1"]
    assert (early.counts.taken, late.counts.taken) == (0, 0)


def test_messages_of_guests_count_on_their_own_edge(runner: FakeRunner, feed: Feed) -> None:
    node = runner.node()
    guest = runner.feed("a", is_guest=True)
    guest.send(100, 101)
    feed.send(1)
    assert len(told_until_quiet(node)) == 3
    assert (feed.counts.sent, feed.counts.taken, feed.counts.dropped) == (1, 1, 0)
    assert (guest.counts.sent, guest.counts.taken, guest.counts.dropped) == (2, 2, 0)


def test_after_a_stop_what_a_guest_had_sent_before_is_given(runner: FakeRunner, feed: Feed) -> None:
    node = runner.node()
    guest = runner.feed("a", is_guest=True)
    guest.send(100)
    feed.send(1)
    runner.say(m.Stop())
    assert told(node.next()) == "STOP MANUAL"
    guest.send(101)
    assert sorted(read_to_end(node)) == ["a=1", "a=100"]


def test_a_guest_ends_a_silence_and_puts_off_the_next(runner: FakeRunner) -> None:
    runner.config["input_timeouts_ns"] = {"a": SECOND // 100}
    runner.feed("a")
    node = runner.node()
    guest = runner.feed("a", is_guest=True)
    guest.send(1)
    assert [told(node.next()) for _ in range(2)] == ["a=1", "INPUT_CLOSED a"]
    guest.send(2)
    assert [told(node.next()) for _ in range(3)] == ["INPUT_RECOVERED a", "a=2", "INPUT_CLOSED a"]


def test_messages_of_guests_are_among_those_that_wait(runner: FakeRunner, feed: Feed) -> None:
    node = runner.node()
    runner.feed("a", is_guest=True).send(100, 101)
    feed.send(1)
    node.try_recv()
    assert node._receiver.queued_by_input() == {"a": 2}
    assert not node._receiver.is_empty()


def test_guests_are_left_alone_with_the_input_that_they_feed(runner: FakeRunner, feed: Feed) -> None:
    node = runner.node()
    guest = runner.feed("a", is_guest=True)
    node.try_recv()
    node._receiver.pause("a")
    guest.send(100)
    assert told_until_quiet(node) == []
    node._receiver.resume("a")
    assert told_until_quiet(node) == ["a=100"]


def test_a_guest_that_was_there_before_the_node_is_heard(runner: FakeRunner, feed: Feed) -> None:
    guest = runner.feed("a", is_guest=True)
    guest.send(100)
    node = runner.node()
    assert told(node.next()) == "a=100"
