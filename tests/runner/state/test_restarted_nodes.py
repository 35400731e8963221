"""The rules of a run as histories: what others see of a node that is started again."""

from __future__ import annotations

from histories import A, B, Play, kinds, only, verdicts

from dora.dataflow.descriptor import RestartPolicy
from dora.messages.node_runner import CLOSED, RESTARTING
from dora.runner import effects as e
from dora.runner import stimuli as s

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
