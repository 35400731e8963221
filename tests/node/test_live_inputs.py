"""Inputs that are connected, moved or stopped while the node runs (`dora node connect`)."""

from __future__ import annotations

from dora.messages import node_runner as m
from node.fake_runner import FakeRunner
from node.test_receiver import read_to_end, told_until_quiet


def test_an_input_that_is_connected_later_gives_events_of_its_own(runner: FakeRunner) -> None:
    first = runner.feed("a")
    node = runner.node()
    late = runner.feed("b", source="lidar")
    first.send(1)
    late.send(2)
    assert sorted(told_until_quiet(node)) == ["a=1", "b=2"]


def test_a_node_without_inputs_can_be_given_one(runner: FakeRunner) -> None:
    node = runner.node()
    late = runner.feed("b")
    late.send(2)
    late.finish()
    assert read_to_end(node) == ["b=2", "INPUT_CLOSED b", "STOP ALL_INPUTS_CLOSED"]


def test_an_input_that_is_moved_is_read_on_without_being_closed(runner: FakeRunner) -> None:
    old = runner.feed("a")
    node = runner.node()
    old.send(1)
    new = runner.feed("a", source="lidar")
    new.send(2)
    old.finish()
    assert told_until_quiet(node) == ["a=1", "a=2"]


def test_an_input_that_was_closed_and_opened_again_is_closed_again(runner: FakeRunner) -> None:
    first, _ = runner.feed("a"), runner.feed("b")
    node = runner.node()
    first.finish()
    assert told_until_quiet(node) == ["INPUT_CLOSED a"]
    again = runner.feed("a")
    again.send(5)
    again.finish()
    assert told_until_quiet(node) == ["a=5", "INPUT_CLOSED a"]


def test_an_input_that_is_connected_after_the_stop_is_left_alone(runner: FakeRunner) -> None:
    runner.feed("a")
    node = runner.node()
    runner.say(m.Stop())
    runner.feed("b").send(2)
    assert read_to_end(node) == ["STOP MANUAL"]
