"""The rules of a run as histories: what somebody asks of it from outside, of all of it or of one node."""

from __future__ import annotations

import signal

from histories import AGAIN, A, B, Play, kinds, only, verdicts

from dora.messages.node_runner import CLOSED, RESTARTING
from dora.runner import effects as e
from dora.runner import stimuli as s
from dora.runner.outcomes import Exited, KilledAfterGrace


def test_a_stopped_node_is_told_and_its_readers_see_it_closed() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert play.tell(s.NodeStopRequested("a", 5.0)) == [e.SendStop("a")]
    effects = play.exit("a", 0)
    assert verdicts(effects) == [(CLOSED, "")]
    assert play.ending("a") == (Exited(0), False)


def test_a_stopped_node_is_not_started_again_by_its_policy() -> None:
    play = Play(AGAIN, B)
    play.run("a", "b")
    play.tell(s.NodeStopRequested("a", 5.0))
    assert not only(e.SpawnNode, play.exit("a", 1))
    assert play.pass_time(10) == []


def test_a_node_that_ignores_its_stop_climbs_the_ladder_with_the_grace_that_was_asked_for() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.tell(s.NodeStopRequested("a", 2.0))
    assert play.pass_time(2.0) == [e.SignalNode("a", signal.SIGTERM)]
    assert play.pass_time(5.0) == [e.KillNode("a")]


def test_a_forced_stop_of_a_node_kills_it_and_is_no_failure() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert play.tell(s.NodeStopRequested("a", 5.0, is_forced=True)) == [e.KillNode("a")]
    play.exit("a", None, signal.SIGKILL)
    assert play.ending("a") == (KilledAfterGrace(signal.SIGKILL, 0.0), False)
    assert not play.supervisor.has_failed


def test_a_node_that_waits_for_its_restart_is_stopped_at_once() -> None:
    play = Play(AGAIN, B)
    play.run("a", "b")
    play.exit("a", 1)
    assert verdicts(play.tell(s.NodeStopRequested("a", 5.0))) == [(CLOSED, "")]
    assert play.pass_time(10) == []


def test_a_run_whose_last_node_is_stopped_is_finished() -> None:
    play = Play(A)
    play.run("a")
    play.tell(s.NodeStopRequested("a", 5.0))
    assert play.exit("a", 0)[-1] == e.Finish()
    assert not play.supervisor.has_failed


def test_a_node_is_restarted_on_request_whatever_its_policy_says() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert play.tell(s.NodeRestartRequested("a", 5.0)) == [e.SendStop("a")]
    effects = play.exit("a", 0)
    assert verdicts(effects) == [(RESTARTING, "")]
    assert only(e.SpawnNode, effects) == [e.SpawnNode("a", 1)]


def test_a_node_that_closes_before_a_restart_on_request_keeps_its_edges_for_the_next_run() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.tell(s.NodeRestartRequested("b", 5.0))
    assert play.tell(s.OutputsClosed("b"), s.LinkLost("b")) == []
    (writer,) = only(e.GiveWriter, play.exit("b", 0))
    assert writer.replaces == 1
    play.tell(s.NodeSpawned("b", 2000))
    effects = play.connect("b")
    assert not only(e.RemoveEdge, effects)
    assert only(e.GiveReader, effects) == [e.GiveReader(writer.edge)]


def test_operators_that_end_before_a_restart_on_request_close_nothing() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.tell(s.NodeRestartRequested("b", 5.0))
    assert play.tell(s.PortsClosed("b", ["a"], ["out"])) == []


def test_a_node_that_was_restarted_on_request_is_not_hurried_any_more() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.tell(s.NodeRestartRequested("a", 5.0))
    play.exit("a", 0)
    play.tell(s.NodeSpawned("a", 2000))
    play.connect("a")
    assert play.pass_time(60) == []


def test_a_request_to_restart_does_not_count_against_the_budget() -> None:
    play = Play(AGAIN, B)
    play.run("a", "b")
    for _ in range(5):
        play.tell(s.NodeRestartRequested("a", 5.0))
        assert only(e.SpawnNode, play.exit("a", 0))
        play.tell(s.NodeSpawned("a", 2000))
        play.connect("a")
    play.exit("a", 1)
    assert only(e.SpawnNode, play.pass_time(0.2)) == [e.SpawnNode("a", 6)]


def test_a_node_that_waits_for_its_restart_is_started_at_once_on_request() -> None:
    play = Play(AGAIN, B)
    play.run("a", "b")
    play.exit("a", 1)
    assert play.tell(s.NodeRestartRequested("a", 5.0)) == [e.SpawnNode("a", 1)]
    assert play.pass_time(10) == []


def test_a_stop_of_the_run_ends_a_restart_that_was_asked_for() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.tell(s.NodeRestartRequested("a", 5.0))
    play.tell(s.StopRequested("dora stop", is_insistent=False))
    assert not only(e.SpawnNode, play.exit("a", 0))


def test_a_stop_may_bring_its_own_grace() -> None:
    play = Play(A, grace_s=10)
    play.run("a")
    play.tell(s.StopRequested("dora stop", is_insistent=False, grace_s=1.0))
    assert play.pass_time(1.0) == [e.SignalNode("a", signal.SIGTERM)]


def test_a_forced_stop_kills_everything_and_is_no_failure() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert kinds(play.tell(s.StopRequested("dora stop", is_forced=True))) == [("KillAll", ""), ("Finish", "")]
    assert not play.supervisor.has_failed


def test_a_forced_stop_ends_a_stop_that_takes_long() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.tell(s.StopRequested("Ctrl-C"))
    assert play.tell(s.StopRequested("dora stop", is_forced=True), after_s=3)[-1] == e.Finish()


def test_a_node_that_is_stopped_before_the_start_does_not_keep_the_others_waiting() -> None:
    play = Play(A, B)
    play.run("b")
    play.tell(s.NodeStopRequested("a", 5.0))
    assert play.pass_time(0.25) == [e.SignalNode("a", signal.SIGTERM)]
    effects = play.exit("a", None, signal.SIGTERM)
    assert ("Start", "b") in kinds(effects)
    assert not play.supervisor.has_failed
