"""The rules of a run as histories: how nodes are stopped and started again."""

from __future__ import annotations

import signal

import pytest
from histories import AGAIN, DYNAMIC, LONE, SECOND_NS, A, B, Play, kinds, node, only, verdicts

from dora.dataflow.descriptor import Node, RestartPolicy
from dora.messages.node_runner import CLOSED, FAILED, RESTARTING
from dora.runner import effects as e
from dora.runner import stimuli as s
from dora.runner.outcomes import (
    Ending,
    Exited,
    KilledAfterGrace,
    KilledByRunner,
    Signalled,
    StartAborted,
)

# -- stopping


def test_a_stop_is_told_to_every_running_node() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert play.tell(s.StopRequested("Ctrl-C")) == [e.SendStop("a"), e.SendStop("b")]


def test_a_node_that_ignores_a_stop_is_terminated_at_the_grace_and_killed_5_s_later() -> None:
    play = Play(A, grace_s=10)
    play.run("a")
    play.tell(s.StopRequested("Ctrl-C"))
    assert play.pass_time(9.9) == []
    assert play.pass_time(0.1) == [e.SignalNode("a", signal.SIGTERM)]
    assert play.pass_time(4.9) == []
    assert play.pass_time(0.1) == [e.KillNode("a")]


STOPPED = [
    (1.0, 0, None, Exited(0), False),
    (1.0, 5, None, Exited(5), True),
    (1.0, None, signal.SIGTERM, Signalled(signal.SIGTERM), True),
    (11.0, None, signal.SIGTERM, KilledAfterGrace(signal.SIGTERM, 11.0), False),
    (11.0, None, signal.SIGINT, KilledAfterGrace(signal.SIGTERM, 11.0), False),
    (11.0, 143, None, KilledAfterGrace(signal.SIGTERM, 11.0), False),
    (11.0, 130, None, KilledAfterGrace(signal.SIGTERM, 11.0), False),
    (11.0, 0, None, Exited(0), False),
    (11.0, 5, None, Exited(5), True),
    (16.0, None, signal.SIGKILL, KilledAfterGrace(signal.SIGKILL, 16.0), True),
]


@pytest.mark.parametrize(("after_s", "code", "signum", "ending", "is_failure"), STOPPED)
def test_an_end_after_a_stop_is_judged_by_what_we_did(
    after_s: float, code: int | None, signum: int | None, ending: Ending, is_failure: bool
) -> None:
    play = Play(A)
    play.run("a")
    play.tell(s.StopRequested("Ctrl-C"))
    for second in range(1, int(after_s) + 1):
        play.now_s = 100.0 + second
        play.tell(s.TimePassed())
    play.exit("a", code, signum)
    assert play.ending("a") == (ending, is_failure)


def test_a_stop_releases_those_who_wait_for_the_start() -> None:
    play = Play(A, B)
    play.run("a")
    assert play.tell(s.StopRequested("Ctrl-C")) == [e.Start("a", 100 * SECOND_NS), e.SendStop("a")]
    assert kinds(play.connect("b"))[-2:] == [("Start", "b"), ("SendStop", "b")]
    play.exit("a")
    play.exit("b")
    assert not play.supervisor.has_failed


def test_a_node_that_never_connected_hears_of_a_stop_by_sigterm_after_a_second() -> None:
    play = Play(A, B)
    play.spawn()
    play.tell(s.StopRequested("Ctrl-C"))
    assert play.pass_time(1.0) == [e.SignalNode("a", signal.SIGTERM), e.SignalNode("b", signal.SIGTERM)]
    play.exit("a", None, signal.SIGTERM)
    assert play.ending("a") == (StartAborted(), False)


def test_a_second_stop_kills_everything() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.tell(s.StopRequested("Ctrl-C"))
    assert play.tell(s.StopRequested("Ctrl-C"), after_s=0.3) == [e.KillAll(), e.Finish()]
    assert play.supervisor.has_failed


@pytest.mark.parametrize(
    ("second", "after_s"), [(s.StopRequested("Ctrl-C"), 0.05), (s.StopRequested("--stop-after", False), 1.0)]
)
def test_an_echo_of_the_first_stop_changes_nothing(second: s.Stimulus, after_s: float) -> None:
    play = Play(A)
    play.run("a")
    play.tell(s.StopRequested("Ctrl-C"))
    assert play.tell(second, after_s=after_s) == []


def test_time_in_which_nobody_ran_does_not_count() -> None:
    play = Play(A)
    play.run("a")
    play.tell(s.StopRequested("Ctrl-C"))
    assert play.tell(s.TimeLost(60 * SECOND_NS), s.TimePassed(), after_s=61.0) == []
    assert play.pass_time(9.0) == [e.SignalNode("a", signal.SIGTERM)]


def finishing() -> Play:
    play = Play(A, B._replace(finish_grace_s=2.0), grace_s=1)
    play.run("a", "b")
    assert play.pass_time(60) == []
    play.exit("a")
    assert play.pass_time(1.9) == []
    assert play.pass_time(0.1) == [e.SendStop("b")]
    return play


def test_a_node_that_goes_on_after_its_inputs_closed_is_stopped_if_it_says_so() -> None:
    play = finishing()
    play.exit("b")
    assert not play.supervisor.has_failed


def test_a_node_that_must_be_killed_after_its_inputs_closed_has_failed() -> None:
    play = finishing()
    assert play.pass_time(1.0) == [e.SignalNode("b", signal.SIGTERM)]
    play.exit("b", None, signal.SIGTERM)
    reason = "did not end after all its inputs had closed (finish_grace_secs) and it was stopped"
    assert play.ending("b") == (KilledByRunner(reason), True)


def test_nodes_that_could_have_ended_are_stopped_when_they_are_found() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert play.supervisor.stragglers() == []
    play.exit("a")
    assert play.supervisor.stragglers() == ["b"]
    assert play.tell(s.NodeStraggles("b", 120.0, "SETTING")) == [e.SendStop("b")]
    assert play.notes() == "still running 120 s (SETTING) after its inputs closed: stopping it"
    assert play.supervisor.stragglers() == []


def test_a_straggler_that_must_be_killed_has_failed() -> None:
    play = Play(A, B, grace_s=1)
    play.run("a", "b")
    play.exit("a")
    play.tell(s.NodeStraggles("b", 120.0, "SETTING"))
    assert play.pass_time(1.0) == [e.SignalNode("b", signal.SIGTERM)]
    play.exit("b", None, signal.SIGTERM)
    assert play.ending("b") == (
        KilledByRunner("did not end after all its inputs had closed (SETTING) and it was stopped"),
        True,
    )


@pytest.mark.parametrize("source", [node("source"), node("clock", "timer"), DYNAMIC, LONE])
def test_nobody_is_a_straggler_while_a_source_lives(source: Node) -> None:
    play = Play(A, B, source)
    play.run("a", "b", str(source.id))
    play.exit("a")
    assert play.supervisor.stragglers() == []


def test_a_node_with_only_timers_is_a_source_whatever_is_said_of_timers() -> None:
    play = Play(A, B, node("clock", "timer"), drains_timers=True)
    play.spawn()
    assert only(e.OpenLink, play.connect("a", "b", "clock"))[-1] == e.OpenLink("clock", 0, False)
    play.exit("a")
    assert play.supervisor.stragglers() == []


# -- restarting


def test_a_failed_node_is_started_again_after_its_delay() -> None:
    play = Play(AGAIN, B)
    play.run("a", "b")
    assert verdicts(play.exit("a", 1)) == [(RESTARTING, "")]
    assert play.pass_time(0.1) == []
    assert play.pass_time(0.1) == [e.SpawnNode("a", 1)]
    assert e.Start("a", 100 * SECOND_NS) in play.connect("a")


def test_the_last_failure_decides_when_the_restarts_are_used_up() -> None:
    play = Play(AGAIN, B)
    play.run("a", "b")
    for _ in range(2):
        play.exit("a", 1)
        play.pass_time(1.0)
        play.connect("a")
    assert verdicts(play.exit("a", 1)) == [(FAILED, "exited with code 1")]
    assert "max restarts (2) reached" in play.notes()
    outcome = play.supervisor.lives["a"].outcome
    assert outcome is not None
    assert outcome.restarts == 2


def test_a_restart_that_succeeds_makes_the_run_a_success() -> None:
    play = Play(AGAIN, B)
    play.run("a", "b")
    play.exit("a", 1)
    play.pass_time(1.0)
    play.connect("a")
    play.exit("a", 0)
    play.exit("b", 0)
    assert not play.supervisor.has_failed


def test_a_stop_cancels_a_pending_restart() -> None:
    play = Play(AGAIN, B)
    play.run("a", "b")
    play.exit("a", 1)
    assert verdicts(play.tell(s.StopRequested("Ctrl-C"))) == [(CLOSED, "")]
    assert play.pass_time(5.0) == []
    assert play.ending("a") == (StartAborted(), False)


def test_a_node_is_not_restarted_once_all_its_inputs_are_closed() -> None:
    play = Play(A, B._replace(restart=RestartPolicy("always")))
    play.run("a", "b")
    play.exit("a", 0)
    assert play.exit("b", 1)[-1] == e.Finish()


@pytest.mark.parametrize(("drains_timers", "is_restarted"), [(False, True), (True, False)])
def test_a_timer_keeps_a_node_going_unless_the_dataflow_says_otherwise(drains_timers: bool, is_restarted: bool) -> None:
    play = Play(A, node("b", "a", "timer")._replace(restart=RestartPolicy("always")), drains_timers=drains_timers)
    play.run("a", "b")
    play.exit("a", 0)
    assert bool(only(e.SpawnNode, play.exit("b", 1))) is is_restarted


def test_a_node_that_is_restarted_before_the_start_is_waited_for_again() -> None:
    play = Play(AGAIN, B)
    play.run("a")
    play.exit("a", 1)
    play.pass_time(1.0)
    assert only(e.Start, play.connect("b")) == []
    assert len(only(e.Start, play.connect("a"))) == 2


def test_a_node_without_inputs_is_restarted_too() -> None:
    play = Play(A._replace(restart=RestartPolicy("always")))
    play.run("a")
    assert only(e.SpawnNode, play.exit("a", 0)) == [e.SpawnNode("a", 1)]
