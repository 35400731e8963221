"""What a send waits for, and what ends the wait (design.md 11.5 and 11.6)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from dora.messages import node_runner as m
from dora.node import outputs as outputs_module
from dora.node.node import Node
from dora.node.outputs import Output
from dora.transport import control
from dora.transport.sending import SendEdge
from node import fake_runner
from node.fake_runner import FakeRunner, Sink, wait_until
from node.interruptions import signalled_when
from node.sending import Aside, Start, refuse_to_wait, send, taken


class Blocked(NamedTuple):
    """A node in the middle of a send that waits, its reader, and the thread that sends."""

    node: Node
    sink: Sink
    sending: Aside


@pytest.fixture
def blocked(runner: FakeRunner, aside: Start) -> Blocked:
    """Message 2 waits: message 1 fills the queue of the output's one lossless reader."""
    sink = runner.sink("out", queue_size=1, is_lossless=True)
    node = runner.node()
    send(node, 1)
    sending = aside(lambda: send(node, 2))
    runner.wait_until_blocked()
    return Blocked(node, sink, sending)


@pytest.fixture
def rare_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A send that waits looks by itself only after longer than a test has patience: something must wake it."""
    monkeypatch.setattr(outputs_module, "_LOOK_AGAIN_NS", 8_000_000_000)
    monkeypatch.setattr(outputs_module, "_LOOK_AGAIN_MAX_NS", 8_000_000_000)
    monkeypatch.setattr(fake_runner, "PATIENCE_S", 4)


# -- lossless ------------------------------------------------------------------------------------------------


def test_lossless_send_waits_for_room(runner: FakeRunner, aside: Start) -> None:
    sink = runner.sink("out", queue_size=2, is_lossless=True)
    node = runner.node()
    send(node, 1, 2)
    sending = aside(lambda: send(node, 3))
    runner.wait_until_blocked()
    sink.take()
    sending.join()
    assert (taken(sink), sink.counts.dropped) == ([2, 3], 0)


def test_first_wait_opens_no_descriptor(runner: FakeRunner, aside: Start) -> None:
    sink = runner.sink("out", queue_size=1, is_lossless=True)
    node = runner.node()
    send(node, 1)
    before = os.listdir("/proc/self/fd")
    sending = aside(lambda: send(node, 2))
    runner.wait_until_blocked()
    while_waiting = os.listdir("/proc/self/fd")
    sink.take()
    sending.join()
    assert len(while_waiting) == len(before)


@pytest.mark.parametrize("queue_size", [1, 2, 10, 100])
def test_nothing_is_lost_however_slow_the_reader(runner: FakeRunner, aside: Start, queue_size: int) -> None:
    sink = runner.sink("out", queue_size=queue_size, is_lossless=True)
    node = runner.node()
    sending = aside(lambda: send(node, *range(300)))
    found: list[int] = []
    while len(found) < 300:
        event = sink.take()
        found += event["value"].to_pylist() if event else []
    sending.join()
    assert found == list(range(300))


def test_lossless_send_goes_to_all_readers_once_the_last_has_room(runner: FakeRunner, aside: Start) -> None:
    full = runner.sink("out", queue_size=1, is_lossless=True)
    roomy = runner.sink("out", queue_size=10, is_lossless=True)
    node = runner.node()
    send(node, 1)
    sending = aside(lambda: send(node, 2))
    wait_until(lambda: runner.counts.blocked or not sending.is_running)
    assert taken(roomy) == [1]
    full.take()
    sending.join()
    assert (taken(roomy), taken(full)) == ([2], [2])


def test_lossless_send_goes_to_all_readers_or_to_none(runner: FakeRunner, aside: Start) -> None:
    slow = runner.sink("out", queue_size=1, is_lossless=True)
    fast = runner.sink("out")
    node = runner.node()
    send(node, 1)
    sending = aside(lambda: send(node, 2))
    runner.wait_until_blocked()
    assert taken(fast) == [1]
    slow.take()
    sending.join()
    assert (taken(fast), taken(slow)) == ([2], [2])


def test_reader_that_keeps_every_array_does_not_block_a_lossless_sender(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=1, is_lossless=True)
    node = runner.node()
    kept = []
    for _ in range(5):
        node.send_output("out", bytes(10_000))
        kept.append(sink.take())
    assert len(kept) == 5


@pytest.mark.timeout(10)  # a send that cannot go on never ends
def test_other_outputs_go_on_while_one_is_blocked(runner: FakeRunner, aside: Start) -> None:
    full = runner.sink("full", queue_size=1, is_lossless=True)
    other = runner.sink("other")
    node = runner.node()
    send(node, 1, output="full")
    sending = aside(lambda: send(node, 2, output="full"))
    runner.wait_until_blocked()
    try:
        send(node, 5, output="other")
    finally:
        full.take()
        sending.join()
    assert taken(other) == [5]


@pytest.mark.timeout(10)  # a node that cannot go on never ends
def test_events_arrive_while_a_send_is_blocked(runner: FakeRunner, aside: Start) -> None:
    sink, feed = runner.sink("out", queue_size=1, is_lossless=True), runner.feed("in")
    node = runner.node()
    send(node, 1)
    sending = aside(lambda: send(node, 2))
    runner.wait_until_blocked()
    feed.send(7)
    try:
        assert node.next()["value"].to_pylist() == [7]
    finally:
        sink.take()
        sending.join()


def test_flush_goes_past_a_full_lossless_queue(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=2, is_lossless=True)
    node = runner.node()
    send(node, 1, 2)
    node.send_output("out", pa.array([3]), {"flush": True})
    assert taken(sink) == [3]


def test_blocked_sends_are_published_and_taken_back(runner: FakeRunner, blocked: Blocked) -> None:
    assert blocked.sink.counts.waiting
    blocked.sink.take()
    blocked.sending.join()
    assert (runner.counts.blocked, blocked.sink.counts.waiting) == (0, 0)


# -- what wakes a send that waits ----------------------------------------------------------------------------


def remove_edge(blocked: Blocked) -> m.ToNode:
    """With which the runner ends the wait."""
    return m.RemoveOutputEdge(blocked.sink.message.edge)


def pump_aside(runner: FakeRunner, blocked: Blocked) -> None:
    """As another thread that has read the control socket before the one that waits could see it."""
    blocked.node._link._dispatch(remove_edge(blocked), [])
    blocked.node._link._wake()


@pytest.mark.parametrize(
    "wake",
    [
        pytest.param(lambda runner, blocked: blocked.sink.take(), id="reader"),
        pytest.param(lambda runner, blocked: runner.say(remove_edge(blocked)), id="runner"),
        pytest.param(pump_aside, id="thread"),
    ],
)
@pytest.mark.usefixtures("rare_looks")
def test_word_of_reader_runner_or_another_thread_wakes_a_send_that_waits(
    runner: FakeRunner, blocked: Blocked, wake: Callable[[FakeRunner, Blocked], object]
) -> None:
    wake(runner, blocked)
    wait_until(lambda: not blocked.sending.is_running)


def test_room_that_came_before_the_reader_knew_of_the_wait_is_seen(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = runner.sink("out", queue_size=1, is_lossless=True)
    node = runner.node()
    send(node, 1)
    set_waiting = SendEdge.set_waiting

    def set_too_late(edge: SendEdge, is_waiting: bool) -> None:
        sink.take()
        set_waiting(edge, is_waiting)

    monkeypatch.setattr(SendEdge, "set_waiting", set_too_late)
    monkeypatch.setattr(Output, "_poll", refuse_to_wait)
    send(node, 2)
    assert sink.counts.sent == 2


# -- stop ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_lossless_send_gives_up_half_a_second_after_the_stop(runner: FakeRunner, blocked: Blocked) -> None:
    begun = time.monotonic()
    runner.say(m.Stop())
    blocked.sending.join()
    assert 0.4 < time.monotonic() - begun < 2
    assert (taken(blocked.sink), blocked.sink.counts.sent, blocked.sink.counts.dropped) == ([1], 2, 1)


def test_message_given_up_counts_as_dropped_at_every_reader(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs_module, "_AFTER_STOP_NS", 1)
    sinks = [runner.sink("out", queue_size=1, is_lossless=True), runner.sink("out")]
    node = runner.node()
    send(node, 1)
    runner.say(m.Stop())
    send(node, 2)
    assert [(sink.counts.sent, sink.counts.dropped) for sink in sinks] == [(2, 1), (2, 1)]


def test_message_with_room_is_sent_after_the_stop(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=2, is_lossless=True)
    node = runner.node()
    runner.say(m.Stop())
    send(node, 1, 2)
    assert taken(sink) == [1, 2]


def test_reader_that_makes_room_after_the_stop_gets_the_message(runner: FakeRunner, blocked: Blocked) -> None:
    runner.say(m.Stop())
    blocked.sink.take()
    blocked.sending.join()
    assert taken(blocked.sink) == [2]


# -- readers that die ----------------------------------------------------------------------------------------


def test_dead_reader_ends_no_wait_before_the_verdict(runner: FakeRunner, blocked: Blocked) -> None:
    blocked.sink.die()
    wait_until(lambda: blocked.node._session.outputs["out"]._edges[0].is_hung_up)
    assert blocked.sending.is_running
    runner.say(m.RemoveOutputEdge(blocked.sink.message.edge))
    blocked.sending.join()
    assert blocked.sink.counts.sent == 1


def test_wait_for_a_dead_reader_does_not_spin(runner: FakeRunner, blocked: Blocked) -> None:
    blocked.sink.die()
    wait_until(lambda: blocked.node._session.outputs["out"]._edges[0].is_hung_up)
    before = time.process_time()
    threading.Event().wait(0.2)
    assert time.process_time() - before < 0.1
    runner.say(m.RemoveOutputEdge(blocked.sink.message.edge))
    blocked.sending.join()


@pytest.mark.usefixtures("rare_looks")
def test_restarted_reader_gets_what_waited_and_what_was_blocked(runner: FakeRunner, aside: Start) -> None:
    old = runner.sink("out", queue_size=2, is_lossless=True)
    node = runner.node()
    send(node, 1, 2)
    sending = aside(lambda: send(node, 3))
    runner.wait_until_blocked()
    old.die()
    new = runner.sink("out", queue_size=2, is_lossless=True, replaces=old.message.edge, slot=old.message.slot)
    found: list[int] = []
    wait_until(lambda: found.extend(taken(new)) or len(found) == 3)
    sending.join()
    assert (found, new.counts.dropped) == ([1, 2, 3], 0)


# -- deadlocks -----------------------------------------------------------------------------------------------


def test_deadlock_ends_the_wait_and_names_the_cycle(runner: FakeRunner, blocked: Blocked) -> None:
    runner.say(m.Deadlock("a/out -> b/in, b/out -> a/in"))
    with pytest.raises(
        RuntimeError, match=r"send_output\('out'\) can never end: .*cycle: a/out -> b/in, b/out -> a/in"
    ):
        blocked.sending.join()


def test_send_after_a_deadlock_waits_anew(runner: FakeRunner, blocked: Blocked, aside: Start) -> None:
    runner.say(m.Deadlock("a -> a"))
    with pytest.raises(RuntimeError):
        blocked.sending.join()
    sending = aside(lambda: send(blocked.node, 3))
    runner.wait_until_blocked()
    blocked.sink.take()
    sending.join()
    assert taken(blocked.sink) == [3]


def test_deadlock_told_while_nothing_is_blocked_changes_nothing(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=1, is_lossless=True)
    node = runner.node()
    runner.say(m.Deadlock("a -> a"))
    send(node, 1)
    assert taken(sink) == [1]


def test_full_queue_to_oneself_is_a_deadlock_at_once(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Output, "_poll", refuse_to_wait)
    runner.sink("out", queue_size=1, is_lossless=True, reader="node", input="loop")
    node = runner.node()
    send(node, 1)
    with pytest.raises(
        RuntimeError,
        match=r"send_output\('out'\) can never end: it waits for room in input 'loop' of this same node, and there is "
        r"no other thread: node/out -> node/loop",
    ):
        send(node, 2)


def test_queue_to_oneself_that_another_thread_reads_is_no_deadlock(runner: FakeRunner, aside: Start) -> None:
    sink = runner.sink("out", queue_size=1, is_lossless=True, reader="node", input="loop")
    node = runner.node()
    send(node, 1)
    reading = aside(lambda: (runner.wait_until_blocked(), sink.take()))
    send(node, 2)
    reading.join()
    assert taken(sink) == [2]


# -- signals -------------------------------------------------------------------------------------------------


def test_signal_handler_runs_while_a_send_is_blocked(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=1, is_lossless=True)
    node = runner.node()
    send(node, 1)
    with signalled_when(runner.wait_until_blocked, lambda: sink.take()):
        send(node, 2)
    assert taken(sink) == [2]


def test_handler_that_raises_ends_a_blocked_send(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=1, is_lossless=True)
    node = runner.node()
    send(node, 1)
    with pytest.raises(KeyboardInterrupt), signalled_when(runner.wait_until_blocked, interrupt):
        send(node, 2)
    assert (taken(sink), runner.counts.blocked) == ([1], 0)
    send(node, 3)
    assert taken(sink) == [3]


def interrupt() -> None:
    """As Ctrl-C does."""
    raise KeyboardInterrupt


def test_message_that_a_handler_sends_in_the_middle_of_a_send_follows_it(runner: FakeRunner) -> None:
    sink = runner.sink("out", queue_size=2, is_lossless=True)
    node = runner.node()
    send(node, 1, 2)

    def send_another() -> None:
        send(node, 4)
        sink.take_all()

    with signalled_when(runner.wait_until_blocked, send_another):
        send(node, 3)
    assert taken(sink) == [3, 4]


def test_handler_may_use_the_node_while_control_messages_are_read(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = runner.sink("out")
    node = runner.node()
    receive = control.receive
    calls: list[int] = []

    def receive_with_a_signal(connection: Any) -> Any:
        if not calls:
            calls.append(1)
            send(node, 2)
            node.try_recv()
        return receive(connection)

    monkeypatch.setattr("dora.node.link.control.receive", receive_with_a_signal)
    runner.say(m.RemoveOutputEdge(999))
    send(node, 1)
    assert sorted(taken(sink)) == [1, 2]
