"""In which order a node gets what waits for it (design.md, section 4 and 11.1)."""

from __future__ import annotations

import os
import select
import time
from typing import Any

import pytest

from dora.messages import node_runner as m
from dora.node.node import Node
from node.fake_runner import FakeRunner, Feed, told

SECOND = 1_000_000_000


def told_until_quiet(node: Node) -> list[str]:
    """All that is there, in order."""
    found = []
    while (event := node.try_recv()) is not None:
        found.append(told(event))
    return found


def read_to_end(node: Node) -> list[str]:
    """All events up to the end of the stream."""
    return [told(event) for event in node]


# -- closing -------------------------------------------------------------------------------------------------


def test_closing_comes_after_everything_that_was_sent(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1, 2, 3)
    feed.finish()
    assert read_to_end(node) == ["a=1", "a=2", "a=3", "INPUT_CLOSED a", "STOP ALL_INPUTS_CLOSED"]


def test_failure_is_told_before_closing_and_stop(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1)
    feed.finish(m.FAILED, "exit code 3")
    assert read_to_end(node) == ["a=1", "NODE_FAILED camera", "INPUT_CLOSED a", "STOP ALL_INPUTS_CLOSED"]


def test_failure_says_who_why_and_which_inputs(runner: FakeRunner) -> None:
    first, second = runner.feed("b"), runner.feed("a")
    other = runner.feed("c", source="lidar")
    node = runner.node()
    for feed in (first, second):
        feed.finish(m.FAILED, "exit code 3")
    other.send(1)
    failed = [event for event in node.drain() if event["type"] == "NODE_FAILED"]
    expected = {"source_node_id": "camera", "error": "exit code 3", "affected_input_ids": ["a", "b"]}
    assert [event["value"] for event in failed] == [expected]


def test_each_input_of_a_failed_node_closes_after_its_own_last_message(runner: FakeRunner) -> None:
    first, second = runner.feed("a"), runner.feed("b")
    node = runner.node()
    first.send(1)
    second.send(1, 2, 3)
    for feed in (first, second):
        feed.finish(m.FAILED, "gone")
    found = read_to_end(node)
    assert found.index("NODE_FAILED camera") < found.index("INPUT_CLOSED a") < found.index("b=3")
    assert found[-3:] == ["b=3", "INPUT_CLOSED b", "STOP ALL_INPUTS_CLOSED"]


def test_end_of_a_pipe_without_a_verdict_is_silence(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1)
    feed.end()
    assert told_until_quiet(node) == ["a=1"]
    assert node.next(0.01)["type"] == "ERROR"


def test_end_of_a_pipe_without_a_verdict_does_not_spin(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.end()
    before = os.times()
    node.next(0.2)
    after = os.times()
    assert after.user + after.system - before.user - before.system < 0.1


def test_verdict_closes_even_while_somebody_holds_the_pipe_open(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1, 2, 3)
    feed.verdict(m.CLOSED)
    assert read_to_end(node) == ["a=1", "a=2", "a=3", "INPUT_CLOSED a", "STOP ALL_INPUTS_CLOSED"]


def test_verdict_on_one_of_several_inputs_held_open_closes_it(runner: FakeRunner) -> None:
    first, second = runner.feed("a"), runner.feed("b")
    node = runner.node()
    first.send(1, 2)
    first.verdict(m.CLOSED)
    second.send(7)
    found = told_until_quiet(node)
    assert sorted(found) == ["INPUT_CLOSED a", "a=1", "a=2", "b=7"]
    assert found.index("a=2") < found.index("INPUT_CLOSED a")


def test_verdict_before_the_end_of_the_pipe_closes_once(runner: FakeRunner) -> None:
    feed, other = runner.feed("a"), runner.feed("b")
    node = runner.node()
    feed.verdict(m.CLOSED)
    assert told_until_quiet(node) == ["INPUT_CLOSED a"]
    feed.end()
    other.send(1)
    assert told_until_quiet(node) == ["b=1"]


def test_stop_comes_when_the_last_input_has_closed(runner: FakeRunner) -> None:
    first, second = runner.feed("a"), runner.feed("b")
    node = runner.node()
    first.finish()
    assert told_until_quiet(node) == ["INPUT_CLOSED a"]
    second.finish()
    assert read_to_end(node) == ["INPUT_CLOSED b", "STOP ALL_INPUTS_CLOSED"]


def test_thread_that_waits_wakes_for_the_closing(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.finish()
    assert [told(node.next()), told(node.next()), told(node.next())] == [
        "INPUT_CLOSED a",
        "STOP ALL_INPUTS_CLOSED",
        "-",
    ]


# -- restarts ------------------------------------------------------------------------------------------------


def test_restart_overtakes_what_the_old_run_sent(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1, 2)
    feed.finish(m.RESTARTING)
    assert told_until_quiet(node) == ["NODE_RESTARTED camera", "a=1", "a=2"]


def test_messages_of_the_new_run_come_after_those_of_the_old(runner: FakeRunner) -> None:
    old = runner.feed("a")
    node = runner.node()
    old.send(1, 2)
    old.finish(m.RESTARTING)
    new = runner.feed("a")
    new.send(3)
    assert told_until_quiet(node) == ["NODE_RESTARTED camera", "a=1", "a=2", "a=3"]


def test_restart_does_not_close_the_input(runner: FakeRunner) -> None:
    old = runner.feed("a")
    node = runner.node()
    old.finish(m.RESTARTING)
    new = runner.feed("a")
    new.send(1)
    new.finish()
    assert read_to_end(node) == ["NODE_RESTARTED camera", "a=1", "INPUT_CLOSED a", "STOP ALL_INPUTS_CLOSED"]


def test_restart_is_told_once_for_all_inputs_of_the_node(runner: FakeRunner) -> None:
    feeds = [runner.feed("a"), runner.feed("b")]
    node = runner.node()
    for feed in feeds:
        feed.finish(m.RESTARTING, run=1)
    assert told_until_quiet(node) == ["NODE_RESTARTED camera"]


def test_each_restart_is_told(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    for run in range(3):
        feed.finish(m.RESTARTING, run=run)
        feed = runner.feed("a")
    assert told_until_quiet(node) == ["NODE_RESTARTED camera"] * 3


def test_failure_after_restarts_closes_the_input(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.finish(m.RESTARTING, run=0)
    feed = runner.feed("a")
    feed.send(1)
    feed.finish(m.FAILED, "exit code 1", run=1)
    assert read_to_end(node)[1:] == ["a=1", "NODE_FAILED camera", "INPUT_CLOSED a", "STOP ALL_INPUTS_CLOSED"]


def test_array_of_an_old_run_outlives_its_edge(runner: FakeRunner) -> None:
    old = runner.feed("a")
    node = runner.node()
    old.send(array=list_of(10_000))
    old.finish(m.RESTARTING)
    node.next()
    value = node.next()["value"]
    runner.feed("a").send(1)
    node.next()
    assert value.to_pylist() == list(range(10_000))


def list_of(length: int) -> Any:
    """More than 4 KiB stays mapped at the reader."""
    import pyarrow as pa  # tests of order do without

    return pa.array(range(length))


def test_input_that_was_closed_opens_again_with_a_new_edge(runner: FakeRunner) -> None:
    feed, _ = runner.feed("a"), runner.feed("b")
    node = runner.node()
    feed.finish()
    assert told_until_quiet(node) == ["INPUT_CLOSED a"]
    runner.feed("a").send(5)
    assert told_until_quiet(node) == ["a=5"]


# -- manual stop ---------------------------------------------------------------------------------------------


def test_stop_overtakes_and_what_was_queued_follows(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1, 2)
    runner.say(m.Stop())
    assert read_to_end(node) == ["STOP MANUAL", "a=1", "a=2"]


def test_what_is_sent_after_the_stop_was_heard_is_not_delivered(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1, 2)
    runner.say(m.Stop())
    assert told(node.next()) == "STOP MANUAL"
    feed.send(3)
    assert read_to_end(node) == ["a=1", "a=2"]


def test_queues_of_all_inputs_follow_the_stop_in_rounds(runner: FakeRunner) -> None:
    first, second = runner.feed("a"), runner.feed("b")
    node = runner.node()
    first.send(1, 2, 3)
    second.send(1)
    runner.say(m.Stop())
    assert read_to_end(node) == ["STOP MANUAL", "a=1", "b=1", "a=2", "a=3"]


def test_closings_do_not_follow_the_stop(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1)
    runner.say(m.Stop())
    feed.finish(m.FAILED, "killed")
    assert read_to_end(node) == ["STOP MANUAL", "a=1"]


def test_ticks_do_not_follow_the_stop(runner: FakeRunner) -> None:
    runner.timer("tick", 1)
    node = runner.node()
    runner.say(m.Stop())
    assert read_to_end(node) == ["STOP MANUAL"]


def test_stop_is_given_once(runner: FakeRunner) -> None:
    node = runner.node()
    runner.say(m.Stop())
    runner.say(m.Stop())
    assert read_to_end(node) == ["STOP MANUAL"]


def test_stop_during_the_start_is_the_first_event(runner: FakeRunner) -> None:
    runner.feed("a")
    runner.start_message = m.Stop()
    assert read_to_end(runner.node()) == ["STOP MANUAL"]


def test_stop_after_all_inputs_closed_changes_nothing(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.finish()
    assert told(node.next()) == "INPUT_CLOSED a"
    runner.say(m.Stop())
    assert read_to_end(node) == ["STOP ALL_INPUTS_CLOSED"]


def test_queue_of_a_new_run_follows_the_stop_too(runner: FakeRunner) -> None:
    old = runner.feed("a")
    node = runner.node()
    old.send(1)
    old.finish(m.RESTARTING)
    runner.feed("a").send(2)
    runner.say(m.Stop())
    assert read_to_end(node) == ["STOP MANUAL", "a=1", "a=2"]


def test_pipe_at_its_end_without_verdict_does_not_hide_the_next_run_from_the_stop(runner: FakeRunner) -> None:
    old = runner.feed("a")
    node = runner.node()
    old.end()
    runner.feed("a").send(2)
    runner.say(m.Stop())
    assert read_to_end(node) == ["STOP MANUAL", "a=2"]


def test_node_without_inputs_waits_for_the_stop(runner: FakeRunner) -> None:
    node = runner.node()
    assert node.next(0.01)["type"] == "ERROR"
    runner.say(m.Stop())
    assert read_to_end(node) == ["STOP MANUAL"]


# -- fairness ------------------------------------------------------------------------------------------------


def test_inputs_take_turns(runner: FakeRunner) -> None:
    first, second = runner.feed("a"), runner.feed("b")
    node = runner.node()
    first.send(0, 1, 2, 3, 4, 5)
    second.send(0, 1, 2)
    assert told_until_quiet(node) == ["a=0", "b=0", "a=1", "b=1", "a=2", "b=2", "a=3", "a=4", "a=5"]


def test_flooded_input_does_not_starve_a_rare_one(runner: FakeRunner) -> None:
    fast, slow = runner.feed("fast"), runner.feed("slow")
    node = runner.node()
    fast.send(*range(100))
    told(node.next())
    slow.send(1)
    assert "slow=1" in [told(node.next()) for _ in range(2)]


def test_input_that_is_about_to_close_does_not_starve_the_others(runner: FakeRunner) -> None:
    closing, other = runner.feed("closing"), runner.feed("other")
    node = runner.node()
    closing.send(*range(100))
    closing.finish()
    other.send(1)
    assert "other=1" in [told(node.next()) for _ in range(2)]


def test_least_recently_served_input_comes_first(runner: FakeRunner) -> None:
    feeds = [runner.feed(name) for name in "abc"]
    node = runner.node()
    feeds[0].send(1)
    feeds[1].send(1)
    assert told_until_quiet(node) == ["a=1", "b=1"]
    for feed in feeds:
        feed.send(2)
    assert told_until_quiet(node) == ["c=2", "a=2", "b=2"]


def test_many_more_inputs_than_one_look_finds_are_all_served(runner: FakeRunner) -> None:
    feeds = [runner.feed(f"in{number}") for number in range(150)]
    node = runner.node()
    for feed in feeds:
        feed.send(1, 2)
    found = told_until_quiet(node)
    assert sorted(found[:150]) == sorted(f"in{number}=1" for number in range(150))


def test_timer_is_served_beside_a_flooded_input(runner: FakeRunner) -> None:
    runner.timer("tick", SECOND)
    feed = runner.feed("a")
    node = runner.node()
    feed.send(*range(100))
    assert "tick=0" in [told(node.next()) for _ in range(3)]


# -- timers --------------------------------------------------------------------------------------------------


def test_tick_is_the_count_since_the_dataflow_began(runner: FakeRunner) -> None:
    runner.timer("tick", 30 * SECOND)
    runner.start_ns = time.monotonic_ns() - 75 * SECOND
    event = runner.node().next()
    assert (event["id"], event["kind"], str(event["value"].type)) == ("tick", "dora", "uint64")
    assert event["value"].to_pylist() == [2]
    assert event["metadata"]["timestamp"].tzinfo is not None


def test_node_waits_for_its_next_tick(runner: FakeRunner) -> None:
    runner.timer("tick", 2_000_000)
    node = runner.node()
    counts = [node.next()["value"][0].as_py() for _ in range(5)]
    assert counts == sorted(set(counts))


def test_two_timers_with_one_period_both_tick(runner: FakeRunner) -> None:
    runner.timer("a", 3600 * SECOND)
    runner.timer("b", 3600 * SECOND)
    assert sorted(told_until_quiet(runner.node())) == ["a=0", "b=0"]


def test_timer_keeps_a_node_alive_whose_inputs_closed(runner: FakeRunner) -> None:
    runner.timer("tick", 3600 * SECOND)
    feed = runner.feed("a")
    node = runner.node()
    feed.finish()
    assert sorted(told_until_quiet(node)) == ["INPUT_CLOSED a", "tick=0"]
    assert node.next(0.01)["type"] == "ERROR"


@pytest.mark.parametrize("is_told_later", [False, True])
def test_drained_timers_keep_nothing_alive(runner: FakeRunner, is_told_later: bool) -> None:
    runner.timer("tick", 3600 * SECOND)
    runner.config["drains_timers"] = not is_told_later
    feed = runner.feed("a")
    node = runner.node()
    feed.finish()
    if is_told_later:
        runner.say(m.Drained())
    assert read_to_end(node)[-1] == "STOP ALL_INPUTS_CLOSED"


def test_next_tick_is_published(runner: FakeRunner) -> None:
    runner.timer("tick", 3600 * SECOND)
    node = runner.node()
    node.next()
    assert runner.counts.next_tick_ns == runner.start_ns + 3600 * SECOND


def test_calls_are_published(runner: FakeRunner) -> None:
    node = runner.node()
    before = runner.counts
    node.try_recv()
    assert runner.counts.calls == before.calls + 1
    assert runner.counts.last_call_ns > before.last_call_ns


# -- is_empty ------------------------------------------------------------------------------------------------


def test_is_empty_agrees_with_what_can_be_taken(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    seen = [node.is_empty()]
    feed.send(1)
    seen.append(node.is_empty())
    node.next()
    seen.append(node.is_empty())
    feed.finish()
    seen.append(node.is_empty())
    told_until_quiet(node)
    seen.append(node.is_empty())
    assert seen == [True, False, True, False, True]


def test_is_empty_counts_a_tick_that_is_due(runner: FakeRunner) -> None:
    runner.timer("tick", 3600 * SECOND)
    node = runner.node()
    assert not node.is_empty()
    node.next()
    assert node.is_empty()


def test_is_empty_after_a_stop_counts_only_what_still_comes(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.send(1)
    runner.say(m.Stop())
    assert not node.is_empty()
    node.next()
    node.next()
    feed.send(2)
    assert node.is_empty()


def test_restarting_sender_leaves_nothing_to_take(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.finish(m.RESTARTING)
    node.next()
    assert node.is_empty()


def test_new_run_that_sends_is_not_empty(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    feed.finish(m.RESTARTING)
    runner.feed("a").send(1)
    node.next()
    assert not node.is_empty()


def test_closed_edge_is_not_waited_for_any_more(runner: FakeRunner) -> None:
    feeds: list[Feed] = [runner.feed("a"), runner.feed("b")]
    node = runner.node()
    before = len(os.listdir("/proc/self/fd"))
    feeds[0].finish()
    told_until_quiet(node)
    assert len(os.listdir("/proc/self/fd")) == before - 5  # three of the sender, two of the reader


# -- the descriptor ------------------------------------------------------------------------------------------


def is_readable(node: Node) -> bool:
    """What select says of the node."""
    return bool(select.select([node], [], [], 0)[0])


def test_descriptor_is_readable_when_something_can_be_taken(runner: FakeRunner) -> None:
    feed = runner.feed("a")
    node = runner.node()
    told_until_quiet(node)
    seen = [is_readable(node)]
    feed.send(1)
    seen.append(is_readable(node))
    told_until_quiet(node)
    seen.append(is_readable(node))
    assert seen == [False, True, False]


def test_one_event_per_look_at_the_descriptor_misses_none(runner: FakeRunner) -> None:
    feeds = [runner.feed("a"), runner.feed("b")]
    node = runner.node()
    for feed in feeds:
        feed.send(1, 2)
        feed.finish(m.FAILED, "gone")
    found = []
    while is_readable(node) and len(found) < 20:
        event = node.try_recv()
        if event is not None:
            found.append(told(event))
        elif "STOP ALL_INPUTS_CLOSED" in found:
            break
    assert sorted(found) == sorted(
        ["a=1", "a=2", "b=1", "b=2", "NODE_FAILED camera", "INPUT_CLOSED a", "INPUT_CLOSED b", "STOP ALL_INPUTS_CLOSED"]
    )


def test_start_that_comes_after_a_stop_is_no_event(runner: FakeRunner) -> None:
    runner.start_message = m.Stop()
    node = runner.node()
    runner.say(m.Start(1))
    assert read_to_end(node) == ["STOP MANUAL"]


def test_drain_gives_all_that_was_there_though_another_input_is_faster(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, fast = runner.feed("slow"), runner.feed("fast")
    node = runner.node()
    slow.send(*range(5))
    take = node._receiver.take

    def take_while_more_comes() -> object:
        fast.send(0)
        return take()

    monkeypatch.setattr(node._receiver, "take", take_while_more_comes)
    found = [event["value"][0].as_py() for event in node.drain() if event["id"] == "slow"]
    assert found == list(range(5))


def test_signal_handler_that_polls_just_before_a_wait_gets_what_is_there(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = runner.feed("a")
    node = runner.node()
    assert node.next(0.01)["type"] == "ERROR"  # it has slept: the next look leaves asking the kernel to the wait
    feed.send(1, 2)
    found = []

    def interrupted() -> bool:
        monkeypatch.undo()
        found.append(told(node.try_recv()))
        return False

    monkeypatch.setattr(node._link, "has_news", interrupted)
    assert told(node.next()) == "a=2"
    assert found == ["a=1"]
