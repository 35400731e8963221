"""The rules of a run as histories: stimuli with their times in, effects out."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dora.dataflow.descriptor import Dataflow, Input, Node, OutputSource, RestartPolicy, TimerSource
from dora.messages.node_runner import CLOSED, FAILED, RESTARTING
from dora.runner import effects as e
from dora.runner import stimuli as s
from dora.runner.outcomes import (
    Cascaded,
    Ending,
    Exited,
    KilledAfterGrace,
    KilledByRunner,
    Signalled,
    SpawnFailed,
    StartAborted,
)
from dora.runner.state.supervisor import Supervisor

SECOND_NS = 1_000_000_000
TIMER = TimerSource(100_000_000, "dora/timer/millis/100")


def node(name: str, *sources: str, outputs: bool = True) -> Node:
    """A node with an output `out` and an input per source, named like it; "timer" is a timer."""
    ports = {source: Input(source, TIMER if source == "timer" else OutputSource(source, "out")) for source in sources}
    return Node(name, f"{name}.py", inputs=ports, outputs=("out",) if outputs else ())


A, B = node("a"), node("b", "a", outputs=False)
LONE = Node("lone", "lone")
DYNAMIC = Node("d", "dynamic", outputs=("out",))


class Play:
    """A supervisor, its clock, and all that it wanted."""

    def __init__(self, *nodes: Node, grace_s: float = 10.0, drains_timers: bool = False) -> None:
        dataflow = Dataflow(Path("/x/dataflow.yml"), Path("/x"), nodes)
        self.supervisor = Supervisor(dataflow, grace_s=grace_s, drains_timers=drains_timers)
        self.now_s = 100.0
        self.last: list[e.Effect] = []

    def tell(self, *stimuli: s.Stimulus, after_s: float = 0.0) -> list[e.Effect]:
        self.now_s += after_s
        self.last = []
        for stimulus in stimuli:
            self.last += self.supervisor.on(stimulus, round(self.now_s * 1000) * 1_000_000)
        return [effect for effect in self.last if not isinstance(effect, e.Note)]

    def notes(self) -> str:
        return "\n".join(effect.text for effect in self.last if isinstance(effect, e.Note))

    def spawn(self) -> list[e.Effect]:
        effects = self.tell(s.Began())
        names = [effect.node for effect in effects if isinstance(effect, e.SpawnNode)]
        self.tell(*[s.NodeSpawned(name, 1000 + index) for index, name in enumerate(names)])
        return effects

    def connect(self, *names: str) -> list[e.Effect]:
        return self.tell(*[told for name in names for told in (s.NodeSaidHello(name), s.NodeReady(name))])

    def run(self, *names: str) -> None:
        """Spawn all, connect these."""
        self.spawn()
        self.connect(*names)

    def exit(self, name: str, code: int | None = 0, signum: int | None = None, after_s: float = 0.0) -> list[e.Effect]:
        return self.tell(s.ProcessExited(name, code, signum), after_s=after_s)

    def pass_time(self, seconds: float) -> list[e.Effect]:
        return self.tell(s.TimePassed(), after_s=seconds)

    def ending(self, name: str) -> tuple[Ending, bool]:
        outcome = self.supervisor.lives[name].outcome
        assert outcome is not None
        return outcome.ending, outcome.is_failure


def kinds(effects: Sequence[e.Effect]) -> list[tuple[str, str]]:
    return [(type(effect).__name__, getattr(effect, "node", "")) for effect in effects]


def only(kind: type, effects: Sequence[e.Effect]) -> list[e.Effect]:
    return [effect for effect in effects if isinstance(effect, kind)]


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
    assert only(e.Start, play.connect("b")) == [e.Start("a", 100 * SECOND_NS), e.Start("b", 100 * SECOND_NS)]


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
    play = Play(replace(A, startup_timeout_s=5.0), B)
    play.spawn()
    assert play.pass_time(4.9) == []
    assert play.pass_time(0.1) == [e.KillNode("a")]
    play.exit("a", None, signal.SIGKILL)
    assert play.ending("a") == (KilledByRunner("did not connect within startup_timeout (5 s)"), True)


def test_a_connected_node_has_met_its_startup_timeout() -> None:
    play = Play(replace(A, startup_timeout_s=5.0), B)
    play.spawn()
    play.tell(s.NodeSaidHello("a"))
    assert play.pass_time(60) == []


# -- running and ending


def verdicts(effects: Sequence[e.Effect]) -> list[tuple[str, str]]:
    return [(effect.verdict, effect.error) for effect in effects if isinstance(effect, e.SendVerdict)]


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


def test_a_node_that_closes_its_outputs_closes_its_readers_inputs_and_lives_on() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert verdicts(play.tell(s.OutputsClosed("a"))) == [(CLOSED, "")]
    assert verdicts(play.exit("a", 1)) == []


def test_a_lost_link_is_closed_only_if_no_exit_follows() -> None:
    play = Play(A, B)
    play.run("a", "b")
    assert play.tell(s.LinkLost("a")) == []
    assert verdicts(play.pass_time(0.4)) == []
    assert verdicts(play.pass_time(0.2)) == [(CLOSED, "")]


def test_a_lost_link_before_a_failure_does_not_hide_the_failure() -> None:
    play = Play(A, B)
    play.run("a", "b")
    play.tell(s.LinkLost("a"))
    assert verdicts(play.exit("a", 2, after_s=0.1)) == [(FAILED, "exited with code 2")]


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
    play = Play(replace(A, health_check_timeout_s=3.0), B)
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
    play = Play(A, replace(B, finish_grace_s=2.0), grace_s=1)
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


# -- restarting

AGAIN = replace(A, restart=RestartPolicy("on-failure", max_restarts=2, delay_s=0.2))


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
    play = Play(A, replace(B, restart=RestartPolicy("always")))
    play.run("a", "b")
    play.exit("a", 0)
    assert play.exit("b", 1)[-1] == e.Finish()


@pytest.mark.parametrize(("drains_timers", "is_restarted"), [(False, True), (True, False)])
def test_a_timer_keeps_a_node_going_unless_the_dataflow_says_otherwise(drains_timers: bool, is_restarted: bool) -> None:
    play = Play(A, replace(node("b", "a", "timer"), restart=RestartPolicy("always")), drains_timers=drains_timers)
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
    play = Play(replace(A, restart=RestartPolicy("always")))
    play.run("a")
    assert only(e.SpawnNode, play.exit("a", 0)) == [e.SpawnNode("a", 1)]


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
    play = Play(replace(A, startup_timeout_s=5.0), replace(B, startup_timeout_s=3.0))
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
    play = Play(replace(A, startup_timeout_s=5.0), replace(B, finish_grace_s=1.0))
    play.spawn()
    play.tell(s.TimeLost(60 * SECOND_NS))
    assert play.supervisor.next_deadline_ns() == 165 * SECOND_NS
    play.connect("a", "b")
    play.tell(s.LinkLost("a"), s.TimeLost(60 * SECOND_NS))
    assert play.supervisor.next_deadline_ns() == 160 * SECOND_NS + SECOND_NS // 2
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
