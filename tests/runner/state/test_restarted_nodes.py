"""The rules of a run as histories: what others see of a node that is started again."""

from __future__ import annotations

import errno

from histories import A, B, Play, kinds, only, verdicts

from dora.dataflow.descriptor import RestartPolicy
from dora.messages.node_runner import CLOSED, RESTARTING
from dora.runner import effects as e
from dora.runner import stimuli as s
from dora.runner.state.edges import MOST_QUEUES

ALWAYS = A._replace(restart=RestartPolicy("always"))


def test_a_program_that_closes_its_node_before_it_ends_is_restarted_with_its_outputs_open() -> None:
    play = Play(ALWAYS, B)
    play.run("a", "b")
    assert play.tell(s.OutputsClosed("a"), s.LinkLost("a")) == []
    effects = play.exit("a", 0, after_s=1.0)
    assert verdicts(effects) == [(RESTARTING, "")]
    assert e.SpawnNode("a", 1) in effects


def test_a_program_that_closes_its_node_and_goes_on_has_closed_its_outputs() -> None:
    play = Play(ALWAYS, B)
    play.run("a", "b")
    play.tell(s.OutputsClosed("a"), s.LinkLost("a"))
    assert play.pass_time(1.9) == []
    assert verdicts(play.pass_time(0.2)) == [(CLOSED, "")]
    assert verdicts(play.exit("a", 0)) == []


def test_a_node_that_is_opened_again_closes_its_outputs_first() -> None:
    play = Play(ALWAYS, B)
    play.run("a", "b")
    play.tell(s.OutputsClosed("a"), s.LinkLost("a"))
    effects = play.tell(s.NodeSaidHello("a"))
    assert verdicts(effects) == [(CLOSED, "")]
    assert [kind for kind, _ in kinds(effects)].index("CloseOutputs") < [kind for kind, _ in kinds(effects)].index(
        "OpenLink"
    )
    assert play.pass_time(3.0) == []


def test_a_node_that_closes_behind_a_stop_is_closed_at_once() -> None:
    play = Play(ALWAYS, B)
    play.run("a", "b")
    play.tell(s.StopRequested("Ctrl-C"))
    assert verdicts(play.tell(s.OutputsClosed("a"))) == [(CLOSED, "")]
    assert only(e.SpawnNode, play.exit("a", 0)) == []


def test_a_lost_link_of_a_node_that_will_be_restarted_is_not_closed_before_its_exit_is_known() -> None:
    play = Play(ALWAYS, B)
    play.run("a", "b")
    play.tell(s.LinkLost("a"))
    assert play.pass_time(4.0) == []
    assert verdicts(play.exit("a", None, 9)) == [(RESTARTING, "")]


def test_a_reader_that_closed_its_node_long_before_it_crashes_is_restarted() -> None:
    play = Play(A, B._replace(restart=RestartPolicy("on-failure")))
    play.run("a", "b")
    play.tell(s.OutputsClosed("b"))
    play.pass_time(3.0)
    assert only(e.SpawnNode, play.exit("b", 1)) == [e.SpawnNode("b", 1)]


def test_readers_hear_of_each_restart_also_of_runs_that_end_before_they_connect() -> None:
    play = Play(ALWAYS, B)
    play.run("a", "b")
    for _ in range(3):
        assert verdicts(play.exit("a", 1)) == [(RESTARTING, "")]
        play.tell(s.NodeSpawned("a", 2000))


def crash_while_lossless_reader_is_away(play: Play) -> None:
    play.run("a", "b")
    play.exit("b", 1)
    for _ in range(MOST_QUEUES - 1):
        play.exit("a", 1)
        play.tell(s.NodeSpawned("a", 2000))
        play.connect("a")


def slow_and_lossless() -> Play:
    policy = RestartPolicy("on-failure", delay_s=1000.0)
    port = B.inputs["a"]._replace(queue_policy="backpressure")
    return Play(ALWAYS, B._replace(restart=policy, inputs={"a": port}))


def test_a_sender_is_held_back_while_a_lossless_reader_is_away_for_too_many_of_its_runs() -> None:
    play = slow_and_lossless()
    crash_while_lossless_reader_is_away(play)
    assert only(e.SpawnNode, play.exit("a", 1)) == []
    assert "waits with its restart until `b` is back and reads what its runs have left in lossless" in play.notes()
    assert play.pass_time(1.0) == []
    assert play.notes() == ""


def test_a_sender_that_was_held_back_is_started_when_its_reader_is_back() -> None:
    play = slow_and_lossless()
    crash_while_lossless_reader_is_away(play)
    play.exit("a", 1)
    play.tell(s.NodeRestartRequested("b", 5.0), s.NodeSpawned("b", 3000))
    play.connect("b")
    assert play.pass_time(1.0) == [e.SpawnNode("a", MOST_QUEUES)]


def test_a_node_that_cannot_be_started_for_want_of_descriptors_is_started_when_there_are_some() -> None:
    play = Play(ALWAYS, B)
    play.run("a", "b")
    play.exit("a", 1)
    refused = s.SpawnRefused("a", errno.EMFILE, "cannot start node `a`: Too many open files")
    play.tell(refused)
    assert play.notes() == "cannot start node `a`: Too many open files: it is tried again until it can be done"
    assert play.pass_time(0.25) == [e.SpawnNode("a", 1)]
    assert play.tell(refused) == []
    assert play.notes() == ""
