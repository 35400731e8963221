"""The rules of a run as histories: how nodes start, run and end."""

from __future__ import annotations

import signal

import pytest
from histories import AGAIN, DYNAMIC, LONE, SECOND_NS, A, B, Play, kinds, node, only, verdicts

from dora.messages.node_runner import CLOSED, FAILED
from dora.runner import effects as e
from dora.runner import stimuli as s
from dora.runner.outcomes import (
    Cascaded,
    Ending,
    Exited,
    KilledByRunner,
    Signalled,
    SpawnFailed,
    StartAborted,
)
from dora.runner.state.routes import tap_route

# -- starting


def test_all_nodes_are_spawned_at_once_but_dynamic_ones() -> None:
    assert Play(A, B, DYNAMIC).spawn() == [e.SpawnNode("a", 0), e.SpawnNode("b", 0)]


def test_an_empty_dataflow_is_finished_at_once() -> None:
    play = Play()
    assert play.tell(s.Began()) == [e.Finish()]
    assert not play.supervisor.has_failed


def test_a_hello_is_answered_with_all_of_the_wiring() -> None:
    play = Play(A, B)
    play.spawn()
    assert kinds(play.tell(s.NodeSaidHello("a"))) == [("OpenLink", "a"), ("GiveWriter", ""), ("EndWiring", "a")]


def test_nobody_starts_before_everybody_is_ready() -> None:
    play = Play(A, B)
    play.spawn()
    assert only(e.Start, play.connect("a")) == []
    assert play.supervisor.barrier.waited_for == ["b"]
    assert only(e.Start, play.connect("b")) == [e.Start("b", 100 * SECOND_NS), e.Start("a", 100 * SECOND_NS)]


def test_no_node_starts_before_those_that_read_from_it() -> None:
    play = Play(A, node("c", "b2"), node("b2", "a"))
    play.spawn()
    play.connect("a")
    play.connect("c")
    assert [start.node for start in only(e.Start, play.connect("b2"))] == ["c", "b2", "a"]


def test_a_program_without_inputs_and_outputs_neither_waits_nor_is_waited_for() -> None:
    play = Play(A, LONE)
    play.spawn()
    assert play.supervisor.barrier.waited_for == ["a"]
    assert only(e.Start, play.connect("lone")) == [e.Start("lone", 100 * SECOND_NS)]


def test_a_node_that_fails_before_the_start_fails_all_others_at_once() -> None:
    play = Play(A, B, node("c", "a"))
    play.spawn()
    play.connect("b")
    failed = only(e.FailStart, play.exit("a", 3))
    reason = "Node a exited with code 3 before initializing dora: the dataflow does not start"
    assert failed == [e.FailStart("b", reason)]
    assert play.tell(s.NodeSaidHello("c")) == [e.FailStart("c", reason)]


def test_who_fails_because_of_another_is_a_consequence() -> None:
    play = Play(A, B)
    play.spawn()
    play.connect("b")
    play.exit("a", 0)
    assert play.exit("b", 1)[-1] == e.Finish()
    assert play.ending("a") == (Exited(0, was_connected=False), False)
    assert play.ending("b") == (Cascaded("a"), True)


def test_a_start_that_failed_is_a_failed_run_even_if_every_node_exits_with_0() -> None:
    play = Play(A, B)
    play.run("b")
    play.exit("a", 0)
    play.exit("b", 0)
    assert play.supervisor.has_failed
    text = "Node a exited with code 0 before initializing dora: the dataflow does not start"
    assert play.supervisor.failure == text


def test_who_fails_by_itself_after_another_did_is_a_cause_of_its_own() -> None:
    play = Play(A, B)
    play.spawn()
    play.exit("a", 1)
    play.exit("b", 1)
    assert play.ending("b") == (Exited(1, was_connected=False), True)


def test_a_failed_start_ends_those_that_go_on_all_the_same() -> None:
    play = Play(A, B, LONE)
    play.run("b")
    play.exit("a", 1)
    assert play.pass_time(1.0) == [e.SignalNode("lone", signal.SIGTERM)]
    assert play.pass_time(9.0) == [e.SignalNode("b", signal.SIGTERM)]


def test_a_lone_program_that_exits_with_0_is_a_success_with_a_warning() -> None:
    play = Play(A)
    play.spawn()
    assert play.exit("a", 0)[-1] == e.Finish()
    assert "exited before initializing dora" in play.notes()
    assert not play.supervisor.has_failed


def test_a_node_that_cannot_be_spawned_counts_as_one_that_never_connected() -> None:
    play = Play(A, B)
    play.tell(s.Began())
    play.connect("b")
    failed = only(e.FailStart, play.tell(s.SpawnRefused("a", 13, "cannot execute a")))
    assert [effect.node for effect in failed if isinstance(effect, e.FailStart)] == ["b"]
    assert play.ending("a") == (SpawnFailed(13, "cannot execute a"), True)


def test_a_node_that_connects_after_the_start_does_not_wait() -> None:
    play = Play(A, B, DYNAMIC)
    play.run("a", "b")
    play.now_s += 7
    assert only(e.Start, play.connect("d")) == [e.Start("d", 100 * SECOND_NS)]


def test_a_node_that_does_not_connect_in_time_is_killed_and_named() -> None:
    play = Play(A._replace(startup_timeout_s=5.0), B)
    play.spawn()
    assert play.pass_time(4.9) == []
    assert play.pass_time(0.1) == [e.KillNode("a")]
    play.exit("a", None, signal.SIGKILL)
    assert play.ending("a") == (KilledByRunner("did not connect within startup_timeout (5 s)"), True)


def test_a_connected_node_has_met_its_startup_timeout() -> None:
    play = Play(A._replace(startup_timeout_s=5.0), B)
    play.spawn()
    play.tell(s.NodeSaidHello("a"))
    assert play.pass_time(60) == []


# -- running and ending


@pytest.mark.parametrize(
    ("code", "signum", "verdict"),
    [
        (0, None, (CLOSED, "")),
        (3, None, (FAILED, "exited with code 3\nthe reason")),
        (None, signal.SIGSEGV, (FAILED, "exited because of signal SIGSEGV\nthe reason")),
    ],
)
def test_readers_are_told_how_their_sender_ended(
    code: int | None, signum: int | None, verdict: tuple[str, str]
) -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert verdicts(play.tell(s.ProcessExited("a", code, signum, ("the reason",)))) == [verdict]


@pytest.mark.parametrize(
    ("code", "signum", "ending", "is_failure"),
    [
        (0, None, Exited(0), False),
        (3, None, Exited(3), True),
        (None, signal.SIGTERM, Signalled(signal.SIGTERM), True),
        (143, None, Exited(143), True),
    ],
)
def test_an_unplanned_end_is_judged_by_code_and_signal(
    code: int | None, signum: int | None, ending: Ending, is_failure: bool
) -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.exit("a", code, signum)
    assert play.ending("a") == (ending, is_failure)


def test_the_run_is_over_when_every_process_has_ended() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert e.Finish() not in play.exit("a", 1)
    assert play.exit("b")[-1] == e.Finish()
    assert play.supervisor.has_failed


def test_the_run_is_over_although_somebody_looks_at_an_output() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.tell(s.TapOpened(tap_route(A, "out", number=1, slot=9, queue_size=5)))
    play.exit("a")
    assert play.exit("b")[-1] == e.Finish()


def test_a_node_that_closes_its_outputs_closes_its_readers_inputs_and_lives_on() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert verdicts(play.tell(s.OutputsClosed("a"))) == [(CLOSED, "")]
    assert verdicts(play.exit("a", 1)) == []


def test_a_lost_link_is_closed_only_if_no_exit_follows() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert play.tell(s.LinkLost("a")) == []
    assert verdicts(play.pass_time(4.9)) == []
    assert verdicts(play.pass_time(0.2)) == [(CLOSED, "")]


def test_a_lost_link_before_a_failure_does_not_hide_the_failure() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.tell(s.LinkLost("a"))
    assert verdicts(play.exit("a", 2, after_s=4.0)) == [(FAILED, "exited with code 2")]


def test_a_sender_hears_that_its_reader_is_gone() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert kinds(play.exit("b")) == [("RemoveEdge", ""), ("CloseOutputs", "b")]


def test_a_dynamic_node_opens_and_closes_its_readers_input_each_time() -> None:
    play = Play(DYNAMIC, node("b", "d"))
    play.run("b")
    for _ in range(2):
        assert only(e.GiveWriter, play.connect("d"))
        assert verdicts(play.tell(s.LinkLost("d"))) == [(CLOSED, "")]


def test_an_input_of_a_dynamic_node_is_open_before_it_attaches() -> None:
    play = Play(DYNAMIC, node("b", "d"))
    play.spawn()
    assert verdicts(play.connect("b")) == []
    assert not play.supervisor.is_input_gone("b", "d")
    assert verdicts(play.connect("d")) == []


def test_dynamic_nodes_alone_run_until_they_are_stopped() -> None:
    play = Play(DYNAMIC)
    assert play.tell(s.Began()) == []
    assert play.tell(s.StopRequested("Ctrl-C")) == [e.Finish()]
    assert not play.supervisor.has_failed


def test_the_cause_of_a_deadlock_is_told_to_all_of_its_members() -> None:
    play = Play(A, B)
    play.run("a", "b")
    told = play.tell(s.DeadlockFound(("a", "b"), "a/out -> b/in, b/out -> a/in"))
    assert told == [e.SendDeadlock(name, "a/out -> b/in, b/out -> a/in") for name in "ab"]


def test_a_hung_node_is_killed_and_named() -> None:
    play = Play(A._replace(health_check_timeout_s=3.0), B)
    play.run("a", "b")
    assert play.tell(s.NodeHung("a")) == [e.KillNode("a")]
    play.exit("a", None, signal.SIGKILL)
    reason = "hung: no call to dora within health_check_timeout (3 s)"
    assert play.ending("a") == (KilledByRunner(reason), True)


def test_the_death_of_the_minder_fails_the_run_at_once() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert play.tell(s.MinderGone()) == [e.KillAll(), e.Finish()]
    assert play.supervisor.has_failed


# -- what comes late or twice changes nothing


def test_nothing_follows_the_end() -> None:
    play = Play()
    play.tell(s.Began())
    assert play.tell(s.StopRequested("Ctrl-C")) == []


@pytest.mark.parametrize(
    "stimulus",
    [
        s.NodeSpawned("a", 7),
        s.NodeSaidHello("a"),
        s.NodeReady("a"),
        s.OutputsClosed("a"),
        s.LinkLost("a"),
        s.ProcessExited("a", 1, None),
        s.NodeHung("a"),
        s.TimePassed(),
    ],
)
def test_news_of_a_node_that_has_ended_are_ignored(stimulus: s.Stimulus) -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.exit("a")
    assert play.tell(stimulus) == []


def test_a_second_ready_changes_nothing() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert play.tell(s.NodeReady("a")) == []


def test_the_next_deadline_is_the_earliest_of_all_nodes() -> None:
    play = Play(A._replace(startup_timeout_s=5.0), B._replace(startup_timeout_s=3.0))
    play.spawn()
    assert play.supervisor.next_deadline_ns() == 103 * SECOND_NS
    play.connect("a", "b")
    assert play.supervisor.next_deadline_ns() is None


def test_those_that_still_run_are_named_in_file_order() -> None:
    play = Play(A, B, DYNAMIC)
    play.run("a", "b")
    play.exit("a")
    assert play.supervisor.still_running() == ["b"]


def test_time_that_was_lost_moves_every_deadline() -> None:
    play = Play(A._replace(startup_timeout_s=5.0), B._replace(finish_grace_s=1.0))
    play.spawn()
    play.tell(s.TimeLost(60 * SECOND_NS))
    assert play.supervisor.next_deadline_ns() == 165 * SECOND_NS
    play.connect("a", "b")
    play.tell(s.LinkLost("a"), s.TimeLost(60 * SECOND_NS))
    assert play.supervisor.next_deadline_ns() == 165 * SECOND_NS
    play.exit("a")
    play.tell(s.TimeLost(60 * SECOND_NS))
    assert play.supervisor.next_deadline_ns() == 161 * SECOND_NS


def test_a_failed_start_cancels_a_pending_restart() -> None:
    play = Play(node("x"), AGAIN, B)
    play.run("b")
    play.exit("a", 1)
    play.exit("x", 1)
    assert play.ending("a") == (StartAborted(), False)


def test_a_node_that_exits_with_an_unnamed_signal_is_described_by_its_number() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert verdicts(play.exit("a", None, 35)) == [(FAILED, "exited because of signal 35")]


def test_a_stop_after_a_failed_start_releases_nobody() -> None:
    play = Play(A, B)
    play.run("b")
    play.exit("a", 1)
    assert play.tell(s.StopRequested("Ctrl-C")) == []
    assert play.tell(s.StopRequested("Ctrl-C"), after_s=1.0) == [e.KillAll(), e.Finish()]


@pytest.mark.parametrize("stimuli", [[s.StopRequested("Ctrl-C")] * 2, [s.MinderGone()]])
def test_a_sudden_end_does_not_change_how_others_have_ended(stimuli: list[s.Stimulus]) -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.exit("a", 3)
    for stimulus in stimuli:
        play.tell(stimulus, after_s=1.0)
    assert play.ending("a") == (Exited(3), True)
    assert not play.ending("b")[1]
